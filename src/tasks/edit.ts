/** Pictures changed by instruction. */
import type { RgbImage } from '../image/rgb-image.ts';
import { enlargeToMinimum } from '../models/qwen25vl/image-processor.ts';
import { mropePositions } from '../models/qwen25vl/positions.ts';
import { buildEditPrompt, type PromptSegment } from '../models/star/prompt.ts';
import { drawPictures } from './draw.ts';
import { chooseDiffusion } from './draw-diffusion.ts';
import type { PictureEvent, PictureResult } from './events.ts';
import { requireText } from './generate.ts';
import { type EditOptions, parsePictureOptions, pictureOptionsSchema } from './options.ts';
import { encodeCodes, encodeSemantic, publishedMaxPixels } from './pictures.ts';
import type { StarModel } from './star-model.ts';
import type { EnginePrompt } from './token-loop.ts';

/** Redraws a picture as the instruction says. The result has the decoder's size, whatever the source's. */
export async function* edit(
  model: StarModel,
  image: RgbImage,
  instruction: string,
  options: EditOptions = {},
): AsyncGenerator<PictureEvent, PictureResult, void> {
  const resolved = parsePictureOptions(pictureOptionsSchema, options, 'edit', model.folder.star.sampling);
  requireText('edit', 'instruction', instruction);
  const chosen = await chooseDiffusion(model, 'edit', resolved);
  const started = performance.now();
  const prompt = await editPrompt(model, image, instruction);
  const timings = { encode: performance.now() - started };
  return yield* drawPictures(model, {
    task: 'edit',
    text: instruction,
    prompt,
    options: resolved,
    diffusion: chosen && { ...chosen, text: instruction, source: image },
    timings,
  });
}

/** The rows of an edit: VQ block, semantic block, instruction. */
export async function editPrompt(model: StarModel, image: RgbImage, instruction: string): Promise<EnginePrompt> {
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
