/** What the contract suite does with a `Star`, written once: run in the test's process for Node, in the page for browsers. */
import { StarError } from '../../src/errors.ts';
import type { RgbImage } from '../../src/image/rgb-image.ts';
import type { DeviceChoice } from '../../src/runtime/device.ts';
import type { PictureEvent, TaskWarning } from '../../src/tasks/events.ts';
import type { EditOptions, GenerateOptions, UnderstandOptions } from '../../src/tasks/options.ts';
import type { ImageRecipe } from '../../src/tasks/recipe.ts';
import { readRecipe } from '../../src/tasks/recipe.ts';
import type { StarTasks } from '../../src/tasks/star-tasks.ts';

export interface OpenOptions {
  readonly device: 'auto' | 'cpu' | 'webgpu';
  readonly threads: number;
}

/** `tell` hears of each step of a download, where there is one. */
export type Load = (
  model: string,
  options: OpenOptions,
  tell?: (progress: { readonly fromCache: boolean }) => void,
) => Promise<StarTasks>;

export interface Opened {
  readonly device: DeviceChoice;
  readonly warnings: readonly TaskWarning[];
  /** Undefined where nothing is downloaded. */
  readonly fromCache: boolean | undefined;
}

export interface Drawn {
  readonly tokens: readonly number[];
  readonly seed: number;
  /** Types of the events in order; `text` deltas of a thought count once. */
  readonly events: readonly string[];
  /** Tokens done at each preview. */
  readonly previews: readonly number[];
  readonly milliseconds: number;
}

export interface Pixels {
  readonly width: number;
  readonly data: readonly number[];
}

export interface Fault {
  readonly code: string;
  readonly message: string;
}

/** All answers are plain data, so that they leave a page. */
export function createScenarios(load: Load) {
  let star: StarTasks | undefined;
  const opened = (): StarTasks => {
    if (!star) throw new Error('open a model first');
    return star;
  };
  const collect = async (stream: AsyncIterable<PictureEvent>, seen?: (event: PictureEvent) => void) => {
    const started = performance.now();
    const events: string[] = [];
    const previews: number[] = [];
    for await (const event of stream) {
      if (events.at(-1) !== event.type) events.push(event.type);
      if (event.type === 'preview-available') previews.push(event.doneTokens);
      seen?.(event);
      if (event.type !== 'picture-end') continue;
      const [image] = event.result.images;
      const milliseconds = performance.now() - started;
      return { image: image!, drawn: { tokens: image!.tokens, seed: image!.seed, events, previews, milliseconds } };
    }
    throw new Error('the stream ended without picture-end');
  };
  const faultOf = async (work: () => Promise<unknown>): Promise<Fault> => {
    try {
      await work();
    } catch (error) {
      const code = StarError.isInstance(error) ? error.code : (error as Error).name;
      return { code, message: (error as Error).message };
    }
    return { code: 'none', message: 'nothing was thrown' };
  };
  return {
    async open(model: string, options: OpenOptions): Promise<Opened> {
      let fromCache: boolean | undefined;
      star = await load(model, options, (progress) => {
        fromCache = progress.fromCache;
      });
      return { device: star.device, warnings: star.warnings, fromCache };
    },
    async draw(prompt: string, options: GenerateOptions): Promise<Drawn> {
      return (await collect(opened().generate.stream(prompt, options))).drawn;
    },
    /** Draws through the diffusion decoder, and edits what it drew. */
    async diffuse(prompt: string, edit: string, options: GenerateOptions & EditOptions): Promise<readonly Pixels[]> {
      const diffusion = { ...options, decoder: 'diffusion' } as const;
      const { image } = await collect(opened().generate.stream(prompt, diffusion));
      const edited = await collect(opened().edit.stream(image, edit, diffusion));
      return [image, edited.image].map(({ width, data }) => ({ width, data: [...data] }));
    },
    /** Aborts after the first row of tokens and counts what still comes. */
    async cancel(prompt: string, seed: number): Promise<Fault & { readonly rowsAfter: number }> {
      const abort = new AbortController();
      let rows = 0;
      const fault = await faultOf(() =>
        collect(opened().generate.stream(prompt, { seed, reasoning: false, signal: abort.signal }), ({ type }) => {
          if (type !== 'picture-progress') return;
          rows++;
          abort.abort();
        }),
      );
      return { ...fault, rowsAfter: rows - 1 };
    },
    /** Draws, edits what was drawn and asks about it; the picture also goes through a PNG file. */
    async editAndAsk(prompt: string, edit: string, question: string, options: EditOptions & UnderstandOptions) {
      const { image } = await collect(opened().generate.stream(prompt, options));
      const png = new Blob([(await image.toPng()) as Uint8Array<ArrayBuffer>]);
      const edited = await collect(opened().edit.stream(image, edit, options));
      const ofFile = await collect(opened().edit.stream(png, edit, options));
      const { answer } = await opened().understand(image, question, { temperature: 0 });
      return { edited: edited.drawn, ofFile: ofFile.drawn, answer };
    },
    /** Draws, and edits what was drawn but for its left half; both pictures and the last preview, whose mask goes through a file. */
    async editPart(prompt: string, edit: string, mask: string, options: EditOptions): Promise<readonly Pixels[]> {
      const { image } = await collect(opened().generate.stream(prompt, options));
      const file = await (await fetch(mask)).blob();
      let preview: RgbImage | undefined;
      const edited = await collect(
        opened().edit.stream(image, edit, { ...options, mask: file, preview: 'linear' }),
        (event) => {
          if (event.type === 'preview-available') preview = event.previews[0];
        },
      );
      return [image, edited.image, preview!].map(({ width, data }) => ({ width, data: [...data] }));
    },
    async recipe(prompt: string, seed: number): Promise<ImageRecipe> {
      const { image } = await collect(opened().generate.stream(prompt, { seed, reasoning: false }));
      return readRecipe(await image.toPng(), 'picture.png');
    },
    openFault: (model: string, options: OpenOptions): Promise<Fault> =>
      faultOf(async () => (await load(model, options)).dispose()),
    /** What a call says after the model was disposed of, twice. */
    async close(): Promise<Fault> {
      const closed = opened();
      await closed.dispose();
      await closed.dispose();
      return faultOf(() => closed.generate('a red apple', { seed: 1, reasoning: false }));
    },
  };
}

export type Scenarios = ReturnType<typeof createScenarios>;
