/** Pictures changed by instruction. */
import { type AlphaPlane, pasteUnmasked } from '../image/mask.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import { enlargeToMinimum } from '../models/qwen25vl/image-processor.ts';
import { mropePositions } from '../models/qwen25vl/positions.ts';
import { buildEditPrompt, type PromptSegment } from '../models/star/prompt.ts';
import { drawPictures } from './draw.ts';
import { type ChosenDiffusion, chooseDiffusion } from './draw-diffusion.ts';
import { drawEach } from './draw-each.ts';
import { TaskError } from './error.ts';
import type { PictureEvent, PictureResult } from './events.ts';
import { requireText } from './generate.ts';
import type { LoadedModel } from './loaded-model.ts';
import { type EditOptions, parsePictureOptions, type ResolvedPictureOptions } from './options.ts';
import { encodeCodes, encodeSemantic, publishedMaxPixels } from './pictures.ts';
import { chooseSeed } from './seed.ts';
import { type Thought, think, thinksApart, thoughtSettings } from './think.ts';
import type { EnginePrompt } from './token-loop.ts';
import { conversationPrompt } from './understand.ts';

/**
 * Redraws a picture as the instruction says. The result has the decoder's size, whatever the source's. With `reasoning` the
 * frozen base answers picture and instruction first, and its answer takes the instruction's place; the published code thinks
 * before it generates alone.
 */
export async function* edit(
  model: LoadedModel,
  image: RgbImage,
  instruction: string,
  { mask, ...options }: EditOptions<AlphaPlane> = {},
): AsyncGenerator<PictureEvent, PictureResult, void> {
  const resolved = parsePictureOptions(options, 'edit', model.folder.star.sampling);
  requireText('edit', 'instruction', instruction);
  const chosen = await chooseDiffusion(model, 'edit', resolved);
  if (mask !== undefined) requireMask(mask, image);
  const { count, onAbort } = resolved;
  const seed = chooseSeed(resolved.seed, count);
  const order = { image, instruction, chosen, mask };
  if (count === 1 || !thinksApart(resolved)) return yield* drawEdit(model, order, { ...resolved, seed });
  const draw = (own: number) => drawEdit(model, order, { ...resolved, seed: own, count: 1 });
  return yield* drawEach({ count, onAbort, seed, draw });
}

interface EditOrder {
  readonly image: RgbImage;
  readonly instruction: string;
  readonly chosen: ChosenDiffusion | undefined;
  readonly mask: AlphaPlane | undefined;
}

/** @throws TaskError `mask_invalid` */
function requireMask({ width, height, data }: AlphaPlane, image: RgbImage): void {
  const refuse = (got: string) => {
    const expected = `expected ${image.width} x ${image.height} opacities, one a pixel of the picture`;
    throw new TaskError('mask_invalid', `edit: option mask: ${expected}, got ${got}`, { option: 'mask' });
  };
  if (width !== image.width || height !== image.height) refuse(`${width} x ${height}`);
  if (!(data instanceof Uint8Array) || data.length !== width * height) refuse(`${data?.length} of them`);
}

async function* drawEdit(
  model: LoadedModel,
  { image, instruction, chosen, mask }: EditOrder,
  options: ResolvedPictureOptions & { readonly seed: number },
): AsyncGenerator<PictureEvent, PictureResult, void> {
  const started = performance.now();
  const thought = options.reasoning ? yield* thinkOf(model, image, instruction, options) : undefined;
  const thinking = performance.now();
  const text = thought?.text ? `${thought.text}${model.folder.star.reasoningSuffix}` : instruction;
  const prompt = await editPrompt(model, image, text);
  return yield* drawPictures(model, {
    task: 'edit',
    text: instruction,
    prompt,
    options,
    diffusion: chosen && { ...chosen, text, source: image },
    thought,
    timings: {
      ...(options.reasoning ? { reasoning: thinking - started } : {}),
      encode: performance.now() - thinking,
    },
    // The recipe says that the picture is not all the model's.
    settings: { ...thoughtSettings(options), ...(mask ? { mask: true } : {}) },
    finish: mask && ((picture) => pasteUnmasked(picture, image, mask)),
  });
}

async function* thinkOf(
  model: LoadedModel,
  image: RgbImage,
  instruction: string,
  options: ResolvedPictureOptions & { readonly seed: number },
): AsyncGenerator<PictureEvent, Thought, void> {
  const content = [
    { type: 'image', image },
    { type: 'text', text: instruction },
  ] as const;
  const { prompt } = await conversationPrompt(model, [{ role: 'user', content }]);
  return yield* think(model, prompt, options, { task: 'edit', seed: options.seed });
}

/** The rows of an edit: VQ block, semantic block, instruction. */
export async function editPrompt(model: LoadedModel, image: RgbImage, instruction: string): Promise<EnginePrompt> {
  const { qwen, star } = model.folder;
  const { patchSize, mergeSize } = model.imageProcessor;
  const source = enlargeToMinimum(image, patchSize * mergeSize);
  const semantic = await encodeSemantic(model, source, publishedMaxPixels.edit);
  const pixelCodes = await encodeCodes(model, source);
  const layout = {
    pixelTokens: pixelCodes.length,
    semanticTokens: semantic.tokens,
    generatedTokens: star.pixelEncoder.numTokens,
  };
  const rows = buildEditPrompt(model.chat, instruction, layout);
  const places = qwen.tokens;
  const ids = rows.positionIds.slice(0, rows.length);
  const { positions, next } = mropePositions(ids, places, [semantic.grid], qwen.vision.spatialMergeSize);
  return {
    branches: [flatten(rows.conditional), flatten(rows.unconditional)],
    inserted: insertions(rows.conditional, semantic.tokens),
    semantic: semantic.embeddings,
    pixelCodes,
    positions,
    nextPosition: next,
  };
}

/** Token ids of a row; places of picture blocks hold 0, which is never read. */
function flatten(segments: readonly PromptSegment[]): number[] {
  return segments.flatMap((segment) =>
    segment.kind === 'tokens' ? segment.ids : new Array<number>(segment.length).fill(0),
  );
}

/** Rows of the engine's inserted embeddings: the semantic ones first, then the VQ codes; 0 for tokens. */
function insertions(segments: readonly PromptSegment[], semanticTokens: number): number[] {
  return segments.flatMap((segment) => {
    if (segment.kind === 'tokens') return segment.ids.map(() => 0);
    const first = segment.kind === 'semantic' ? 1 : 1 + semanticTokens;
    return Array.from({ length: segment.length }, (_, index) => first + index);
  });
}
