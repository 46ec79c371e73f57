/** A model in a React application: it lives as long as the component that uses it. */
import { useEffect, useReducer, useRef } from 'react';
import { AbortedError, type RgbImage, Star } from 'starstack/browser';

export interface StarState {
  readonly phase: 'loading' | 'ready' | 'drawing' | 'failed';
  /** How much of the loading or drawing is done, 0 to 1. */
  readonly done: number;
  /** What is drawn so far; at the end the picture, a `GeneratedImage`. */
  readonly image?: RgbImage;
  readonly fault?: string;
}

const change = (old: StarState, news: Partial<StarState>): StarState => ({ ...old, ...news });

/** @param url of a model folder with a manifest, against the page's own */
export function useStar(url: string) {
  const [state, tell] = useReducer(change, { phase: 'loading', done: 0 });
  const star = useRef<Star>(undefined);
  const work = useRef<AbortController>(undefined);

  useEffect(() => {
    const leaving = new AbortController();
    tell({ phase: 'loading', done: 0 });
    const loading = Star.load(url, {
      signal: leaving.signal,
      onProgress: ({ loadedBytes, totalBytes }) => tell({ done: loadedBytes / totalBytes }),
    });
    loading
      .then((loaded) => {
        star.current = loaded;
        tell({ phase: 'ready' });
      })
      .catch((error: Error) => leaving.signal.aborted || tell({ phase: 'failed', fault: error.message }));
    return () => {
      leaving.abort();
      work.current?.abort();
      loading.then((loaded) => loaded.dispose()).catch(() => {});
    };
  }, [url]);

  async function draw(prompt: string, seed: number) {
    work.current = new AbortController();
    tell({ phase: 'drawing', done: 0, fault: undefined });
    try {
      const options = { seed, preview: 'linear', signal: work.current.signal } as const;
      for await (const event of star.current!.generate.stream(prompt, options)) {
        if (event.type === 'picture-progress') tell({ done: event.doneTokens / event.totalTokens });
        if (event.type === 'preview-available') tell({ image: event.previews[0] });
        if (event.type === 'image-end') tell({ image: event.image });
      }
    } catch (error) {
      if (!(error instanceof AbortedError)) tell({ fault: (error as Error).message });
    }
    tell({ phase: 'ready' });
  }

  return { ...state, draw, cancel: () => work.current?.abort() };
}
