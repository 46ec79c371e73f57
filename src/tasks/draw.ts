/** Drawing pictures from a prompt: what generating and editing share. */
import type { RgbImage } from '../image/rgb-image.ts';
import { AbortedError, TaskError } from './error.ts';
import type { PictureEvent, PictureResult, TaskWarning } from './events.ts';
import { GeneratedImage, type ImageRecipe } from './generated-image.ts';
import { type ResolvedPictureOptions, samplingOf } from './options.ts';
import { decodeCodes, toImages } from './pictures.ts';
import { linearPreview } from './preview.ts';
import { fingerprintOf } from './recipe.ts';
import { chooseSeed } from './seed.ts';
import type { StarModel } from './star-model.ts';
import { type EnginePrompt, runTokens } from './token-loop.ts';
import { requireContext } from './understand.ts';

export interface Drawing {
  readonly task: 'generate' | 'edit';
  readonly text: string;
  /** Two branches: the prompt and the unconditional one. */
  readonly prompt: EnginePrompt;
  readonly options: ResolvedPictureOptions;
  readonly thought?: string;
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  readonly timings: Readonly<Record<string, number>>;
}

/** Draws `count` pictures at once, a row of tokens a chunk. Image i with seed s is the same alone as among others. */
export async function* drawPictures(
  model: StarModel,
  drawing: Drawing,
): AsyncGenerator<PictureEvent, PictureResult, void> {
  const { options, task } = drawing;
  const { pixelEncoder, modelName } = model.folder.star;
  const { numTokens, gridSize, codebookSize } = pixelEncoder;
  const { count, guidance, signal, onAbort } = options;
  if (options.decoder === 'diffusion') {
    throw new TaskError('not_supported', `${task}: the diffusion decoder is not supported yet; use decoder vq`);
  }
  const seed = chooseSeed(options.seed, count);
  const branches = guidance === 1 ? drawing.prompt.branches.slice(0, 1) : drawing.prompt.branches;
  requireContext(model, task, branches[0]!.length, numTokens);
  if (signal?.aborted && onAbort === 'throw') throw new AbortedError(task, signal.reason);
  yield { type: 'picture-start', seed, totalTokens: numTokens, count };
  const beforeLoad = performance.now();
  const engine = await model.session('engine');
  const started = performance.now();
  const codes: number[][] = Array.from({ length: count }, () => []);
  let aborted = false;
  const run = {
    prompt: { ...drawing.prompt, branches },
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
      aborted = true;
      break;
    }
  }
  const drawn = performance.now();
  const pictures = await decodePartial(model, codes);
  const decoded = performance.now();
  const settings = {
    guidance,
    topK: options.topK,
    topP: options.topP,
    temperature: options.temperature,
    decoder: options.decoder,
    ...drawing.settings,
  };
  const fingerprint = await fingerprintOf(model.folder);
  const images: GeneratedImage[] = [];
  for (const [index, picture] of pictures.entries()) {
    const recipe: ImageRecipe = {
      version: 1,
      task,
      prompt: drawing.text,
      seed: seed + index,
      model: modelName,
      fingerprint,
      settings,
      ...(drawing.thought === undefined ? {} : { thought: drawing.thought }),
    };
    const image = new GeneratedImage(picture, codes[index]!, recipe, !aborted);
    images.push(image);
    yield { type: 'image-end', index, image };
  }
  const warnings: TaskWarning[] = [];
  if (aborted) {
    const message = `stopped after ${codes[0]!.length} of ${numTokens} tokens; the rest of the picture is grey`;
    warnings.push({ code: 'picture_partial', message });
  }
  const result: PictureResult = {
    images,
    seed,
    ...(drawing.thought === undefined ? {} : { thought: drawing.thought }),
    finishReason: aborted ? 'aborted' : 'complete',
    warnings,
    timings: { ...drawing.timings, load: started - beforeLoad, tokens: drawn - started, decode: decoded - drawn },
    device: model.runtime.device.chosen,
  };
  yield { type: 'picture-end', result };
  return result;
}

function previewOf(
  model: StarModel,
  codes: readonly (readonly number[])[],
  kind: 'linear' | 'decoder',
): Promise<RgbImage[]> {
  return kind === 'linear' ? linearPreview(model, codes) : decodePartial(model, codes);
}

const grey = 127;

/** Pictures of grids that may be unfinished: rows without all their tokens are grey. */
async function decodePartial(model: StarModel, codes: readonly (readonly number[])[]): Promise<RgbImage[]> {
  const { numTokens, gridSize, imageSize } = model.folder.star.pixelEncoder;
  const done = codes[0]!.length;
  // The decoder needs a whole grid; what is missing repeats the last token and is painted over.
  const whole = codes.map((list) => [...list, ...new Array<number>(numTokens - list.length).fill(list.at(-1) ?? 0)]);
  const images = toImages(await decodeCodes(model, whole));
  const rows = Math.floor(done / gridSize) * (imageSize / gridSize);
  for (const image of images) image.data.fill(grey, rows * imageSize * 3);
  return images;
}
