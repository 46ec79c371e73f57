/** Drawing pictures from a prompt: what generating and editing share. */
import type { RgbImage } from '../image/rgb-image.ts';
import type { Session } from '../runtime/session.ts';
import { captionWarnings, type DiffusionDrawing, diffusionSettings, drawDiffusion } from './draw-diffusion.ts';
import { AbortedError } from './error.ts';
import type { PictureEvent, PictureResult } from './events.ts';
import { fingerprintOf } from './fingerprint.ts';
import { GeneratedImage } from './generated-image.ts';
import type { LoadedModel } from './loaded-model.ts';
import { type ResolvedPictureOptions, samplingOf } from './options.ts';
import { decodeCodes, toImages } from './pictures.ts';
import { linearPreview } from './preview.ts';
import type { ImageRecipe } from './recipe.ts';
import { chooseSeed } from './seed.ts';
import type { Thought } from './think.ts';
import { type EnginePrompt, runTokens } from './token-loop.ts';
import { requireContext } from './understand.ts';

export interface Drawing {
  readonly task: 'generate' | 'edit';
  readonly text: string;
  /** Two branches: the prompt and the unconditional one. */
  readonly prompt: EnginePrompt;
  readonly options: ResolvedPictureOptions;
  /** What the diffusion decoder draws from the tokens. Default: the VQ decoder draws. */
  readonly diffusion?: DiffusionDrawing | undefined;
  readonly thought?: Thought | undefined;
  readonly settings?: ImageRecipe['settings'];
  /** What is done with each picture and preview before anybody sees it. */
  readonly finish?: ((picture: RgbImage) => RgbImage) | undefined;
  readonly timings: Readonly<Record<string, number>>;
}

/** Draws `count` pictures at once, a row of tokens a chunk. Image i with seed s is the same alone as among others. */
export async function* drawPictures(
  model: LoadedModel,
  drawing: Drawing,
): AsyncGenerator<PictureEvent, PictureResult, void> {
  const { options, task, diffusion, finish = (picture) => picture } = drawing;
  const { numTokens } = model.folder.star.pixelEncoder;
  const { count, guidance, signal, onAbort } = options;
  const seed = chooseSeed(options.seed, count);
  const branches = guidance === 1 ? drawing.prompt.branches.slice(0, 1) : drawing.prompt.branches;
  requireContext(model, task, branches[0]!.length, numTokens);
  const unread = diffusion ? captionWarnings(diffusion) : [];
  if (signal?.aborted && onAbort === 'throw') throw new AbortedError(task, signal.reason);
  const promptTokens = branches[0]!.length;
  const sourceTokens = drawing.prompt.inserted?.filter((row) => row > 0).length ?? 0;
  yield { type: 'picture-start', seed, totalTokens: numTokens, count, promptTokens, sourceTokens };
  const beforeLoad = performance.now();
  const engine = await model.session('engine');
  const started = performance.now();
  const order = { ...drawing, prompt: { ...drawing.prompt, branches } };
  const codes = yield* finished(drawTokens(model, engine, order, seed), finish);
  const drawn = performance.now();
  const doneTokens = codes[0]!.length;
  let partial = doneTokens < numTokens ? `${doneTokens} of ${numTokens} tokens; the rest of the picture is grey` : '';
  const diffused =
    diffusion && !partial ? yield* finished(drawDiffusion(model, diffusion, codes, seed, options), finish) : undefined;
  if (diffused && !diffused.pictures) {
    const { doneSteps, totalSteps } = diffused;
    partial = `${doneSteps} of ${totalSteps} steps of the diffusion decoder; the picture is the VQ decoder's`;
  }
  const denoised = performance.now();
  const pictures = diffused?.pictures ?? (await decodePartial(model, codes));
  const decoded = performance.now();
  const recipe = await recipeOf(model, drawing);
  const images: GeneratedImage[] = [];
  for (const [index, picture] of pictures.entries()) {
    const image = new GeneratedImage(
      finish(picture),
      codes[index]!,
      { ...recipe, seed: seed + index },
      !partial,
      model.codec,
    );
    images.push(image);
    yield { type: 'image-end', index, image };
  }
  const result: PictureResult = {
    images,
    seed,
    ...(drawing.thought === undefined ? {} : { thought: drawing.thought.text }),
    finishReason: partial ? 'aborted' : 'complete',
    warnings: [
      ...(drawing.thought?.warnings ?? []),
      ...(diffused ? unread : []),
      ...(partial ? [{ code: 'picture_partial', message: `stopped after ${partial}` }] : []),
    ],
    timings: {
      ...drawing.timings,
      load: started - beforeLoad,
      tokens: drawn - started,
      ...(diffused ? { diffusion: denoised - drawn } : {}),
      ...(diffused?.pictures ? {} : { decode: decoded - denoised }),
    },
    device: model.runtime.device.chosen,
  };
  yield { type: 'picture-end', result };
  return result;
}

/** The same events, with finished previews. */
async function* finished<Result>(
  events: AsyncGenerator<PictureEvent, Result, void>,
  finish: (picture: RgbImage) => RgbImage,
): AsyncGenerator<PictureEvent, Result, void> {
  try {
    for (let step = await events.next(); ; step = await events.next()) {
      if (step.done) return step.value;
      const event = step.value;
      yield event.type === 'preview-available' ? { ...event, previews: event.previews.map(finish) } : event;
    }
  } finally {
    await events.return(undefined as never);
  }
}

/** The codes of the pictures, `[pictures][places]`; fewer than a picture has where an abort is to keep what is done. */
async function* drawTokens(
  model: LoadedModel,
  engine: Session,
  { task, prompt, options }: Drawing,
  seed: number,
): AsyncGenerator<PictureEvent, number[][], void> {
  const { numTokens, gridSize, codebookSize } = model.folder.star.pixelEncoder;
  const { count, guidance, signal, onAbort } = options;
  const codes: number[][] = Array.from({ length: count }, () => []);
  const run = {
    prompt,
    drawPicture: true,
    editPicture: task === 'edit',
    images: count,
    seed,
    guidance,
    sampling: samplingOf(options, codebookSize),
    maxTokens: numTokens,
    chunk: () => gridSize,
    stopTokens: [],
  };
  for await (const chunk of runTokens(model, engine, run)) {
    for (const turn of chunk.tokens) for (const [image, token] of turn.entries()) codes[image]!.push(token);
    yield { type: 'picture-progress', doneTokens: chunk.doneTokens, totalTokens: numTokens };
    if (options.preview !== 'none' && chunk.doneTokens < numTokens) {
      const previews = await previewOf(model, codes, options.preview);
      yield { type: 'preview-available', doneTokens: chunk.doneTokens, previews };
    }
    if (signal?.aborted && chunk.doneTokens < numTokens) {
      if (onAbort === 'throw') throw new AbortedError(task, signal.reason);
      break;
    }
  }
  return codes;
}

/** What all pictures of a drawing have in their recipes. */
async function recipeOf(
  { folder }: LoadedModel,
  { task, text, options, diffusion, settings, thought }: Drawing,
): Promise<Omit<ImageRecipe, 'seed'>> {
  const { guidance, topK, topP, temperature, decoder } = options;
  return {
    version: 1,
    task,
    prompt: text,
    model: folder.star.modelName,
    fingerprint: await fingerprintOf(folder),
    settings: {
      guidance,
      topK,
      topP,
      temperature,
      decoder,
      ...(diffusion ? diffusionSettings(diffusion) : {}),
      ...settings,
    },
    ...(thought === undefined ? {} : { thought: thought.text }),
  };
}

function previewOf(
  model: LoadedModel,
  codes: readonly (readonly number[])[],
  kind: 'linear' | 'decoder',
): Promise<RgbImage[]> {
  return kind === 'linear' ? linearPreview(model, codes) : decodePartial(model, codes);
}

const grey = 127;

/** Pictures of grids that may be unfinished: rows without all their tokens are grey. */
async function decodePartial(model: LoadedModel, codes: readonly (readonly number[])[]): Promise<RgbImage[]> {
  const { numTokens, gridSize, imageSize } = model.folder.star.pixelEncoder;
  const done = codes[0]!.length;
  // The decoder needs a whole grid; what is missing repeats the last token and is painted over.
  const whole = codes.map((list) => [...list, ...new Array<number>(numTokens - list.length).fill(list.at(-1) ?? 0)]);
  const images = toImages(await decodeCodes(model, whole));
  const rows = Math.floor(done / gridSize) * (imageSize / gridSize);
  for (const image of images) image.data.fill(grey, rows * imageSize * 3);
  return images;
}
