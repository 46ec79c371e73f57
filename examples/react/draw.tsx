/** Draws what is asked for, on this computer: progress, previews, cancelling. */
import { useEffect, useRef, useState } from 'react';
import { imageDataOf, type RgbImage } from 'starstack/browser';
import { useStar } from './use-star.ts';

export function Draw() {
  const { phase, done, image, fault, draw, cancel } = useStar('models/nano/');
  const [prompt, setPrompt] = useState('a photo of two red apples');
  const [seed, setSeed] = useState(7);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void draw(prompt, seed);
      }}
    >
      <input aria-label="Prompt" value={prompt} onChange={({ target }) => setPrompt(target.value)} required />
      <input
        aria-label="Seed"
        type="number"
        min={0}
        value={seed}
        onChange={({ target }) => setSeed(target.valueAsNumber)}
        required
      />
      <button type="submit" disabled={phase !== 'ready'}>
        Draw
      </button>
      <button type="button" disabled={phase !== 'drawing'} onClick={cancel}>
        Cancel
      </button>
      <progress value={done} aria-label={phase === 'loading' ? 'Loading the model' : 'Drawing'} />
      <p role="status">
        {fault ?? { loading: 'Loading the model', ready: 'Ready', drawing: 'Drawing', failed: '' }[phase]}
      </p>
      {image && <Picture image={image} label={prompt} />}
    </form>
  );
}

function Picture({ image, label }: { image: RgbImage; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    canvas.current!.getContext('2d')!.putImageData(imageDataOf(image), 0, 0);
  }, [image]);
  return <canvas ref={canvas} width={image.width} height={image.height} role="img" aria-label={label} />;
}
