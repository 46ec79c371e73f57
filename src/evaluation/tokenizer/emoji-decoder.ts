/**
 * emoji-decoder: how near the pixel decoders come to a scene, given the codes of its picture: the diffusion decoder, which draws
 * larger pictures, and the VQ decoder, whose pictures are made as large by Pillow's bicubic filter. Both are told the true codes,
 * so that nothing but the decoder counts. Then edits, both decoders given the codes that the model drew: how near the source what
 * the edit leaves alone stays.
 */
import { describeScene } from '../../data/world/captions.ts';
import type { World } from '../../data/world/world.ts';
import { contactSheet } from '../../image/contact-sheet.ts';
import { resizeImage } from '../../image/resize.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { meanSquaredError } from '../../image/similarity.ts';
import { bootstrapMean } from '../bootstrap.ts';
import { changedRegion, type EditItem } from '../imgedit/emoji-imgedit.ts';
import { closedWorldNote, type Report, type Score, type Source } from '../report.ts';
import type { JudgedPicture } from '../sheet.ts';
import { finitePsnr, finitePsnrOfError } from './emoji-tokenizer.ts';

/** A model's ways between pictures and codes. */
export interface PixelDecoders {
  /** The codes of a picture of `size`. */
  readonly encode: (image: RgbImage) => Promise<readonly number[]>;
  /** The VQ decoder's picture, of `size`. */
  readonly redraw: (codes: readonly number[]) => Promise<RgbImage>;
  /** The diffusion decoder's picture, of `resolution`. */
  readonly diffuse: (codes: readonly number[], caption: string, seed: number) => Promise<RgbImage>;
  /** An edit's result, of `size` or `resolution`: from the same codes, where the seed is the same. */
  readonly edit: (
    decoder: 'vq' | 'diffusion',
    source: RgbImage,
    instruction: string,
    seed: number,
  ) => Promise<RgbImage>;
}

export interface DecoderRun {
  readonly world: World;
  readonly decoders: PixelDecoders;
  readonly source: Source;
  /** Pixels a side of the pictures that are coded. */
  readonly size: number;
  /** Pixels a side of those that are compared. */
  readonly resolution: number;
  readonly seed: number;
  readonly scenes: number;
  /** Edits of pictures of `resolution`. */
  readonly edits: readonly EditItem[];
  readonly onPicture?: (done: number, total: number, picture: JudgedPicture) => void;
}

/** Decibels that the diffusion decoder is asked to be ahead, and nearer the source where an edit changes nothing. */
const askedGain = 2;
const askedKept = 3;

/** Decibels of both decoders, and how far the diffusion decoder is ahead. */
type Decibels = Record<'diffusion' | 'vq' | 'gain', number>;

/** Scene and edit i are drawn with the seed `seed + i`, so that no noise serves twice. */
export async function evaluateDecoder(run: DecoderRun): Promise<{ report: Report }> {
  const { world, decoders, size, resolution, seed } = run;
  const rows: Decibels[] = [];
  let milliseconds = 0;
  for (let index = 0; index < run.scenes; index++) {
    const scene = world.scene(seed, index, 'any');
    const truth = world.render(scene, resolution);
    const codes = await decoders.encode(world.render(scene, size));
    const redrawn = resizeImage(await decoders.redraw(codes), resolution, resolution, 'bicubic');
    const caption = describeScene(scene, index, 'geneval');
    const started = performance.now();
    const drawn = await decoders.diffuse(codes, caption, seed + index);
    milliseconds += performance.now() - started;
    const [diffusion, vq] = [finitePsnr(truth, drawn), finitePsnr(truth, redrawn)];
    const gain = diffusion - vq;
    rows.push({ diffusion, vq, gain });
    run.onPicture?.(index + 1, run.scenes, {
      image: contactSheet([truth, redrawn, drawn], 3),
      verdict: gain >= askedGain ? 'right' : gain > 0 ? 'partly' : 'wrong',
      text: `scene ${index}: ${caption}: ${gain.toFixed(2)} dB`,
    });
  }
  const kept = await sourcesKept(run);
  const score = (name: string, unit: string, of: readonly Decibels[], key: keyof Decibels): Score => ({
    name: `emoji-decoder ${name}`,
    estimate: bootstrapMean(
      of.map((row) => row[key]),
      { seed },
    ),
    unit,
  });
  const report: Report = {
    name: 'emoji-decoder',
    judge: `PSNR against the render of ${resolution} pixels`,
    images: run.scenes + kept.length,
    seed,
    sampler: { source: run.source.name, ...run.source.sampler },
    scores: [
      score('diffusion PSNR (dB)', 'scenes', rows, 'diffusion'),
      score('VQ PSNR, bicubic (dB)', 'scenes', rows, 'vq'),
      score('diffusion over VQ (dB)', 'scenes', rows, 'gain'),
      ...(kept.length > 0
        ? [
            score('unchanged region, diffusion PSNR to the source (dB)', 'edits', kept, 'diffusion'),
            score('unchanged region, VQ PSNR to the source (dB)', 'edits', kept, 'vq'),
            score('unchanged region, diffusion over VQ (dB)', 'edits', kept, 'gain'),
          ]
        : []),
    ],
    tables: [
      {
        title: 'Diffusion decoder',
        columns: ['codes of pixels', 'pictures of pixels', 'seconds a picture'],
        rows: [[size, resolution, milliseconds / 1000 / run.scenes]],
      },
    ],
    notes: [
      closedWorldNote,
      'Codes of scenes are those of the true picture, captions are in GenEval’s grammar; codes of edits are the model’s.',
    ],
  };
  return { report };
}

/** What each decoder makes of the region that an edit leaves alone; an edit of the whole picture leaves none. */
async function sourcesKept({ edits, decoders, resolution, seed, scenes, onPicture }: DecoderRun): Promise<Decibels[]> {
  const kept = edits
    .map((item) => ({ ...item, region: changedRegion(item) }))
    .filter(({ region }) => region.includes(0));
  const rows: Decibels[] = [];
  for (const [index, { source, edit, region }] of kept.entries()) {
    const draw = (decoder: 'vq' | 'diffusion') => decoders.edit(decoder, source, edit.instruction, seed + index);
    const redrawn = resizeImage(await draw('vq'), resolution, resolution, 'bicubic');
    const drawn = await draw('diffusion');
    const outside = (made: RgbImage) => meanSquaredError(made, source, (pixel) => region[pixel] === 0)!;
    const [diffusion, vq] = [finitePsnrOfError(outside(drawn)), finitePsnrOfError(outside(redrawn))];
    const gain = diffusion - vq;
    rows.push({ diffusion, vq, gain });
    onPicture?.(scenes + index + 1, scenes + kept.length, {
      image: contactSheet([source, redrawn, drawn], 3),
      verdict: gain >= askedKept ? 'right' : gain > 0 ? 'partly' : 'wrong',
      text: `${edit.instruction}: ${gain.toFixed(2)} dB`,
    });
  }
  return rows;
}
