/**
 * emoji-decoder: how near the pixel decoders come to a scene, given the codes of its picture: the diffusion decoder, which draws
 * larger pictures, and the VQ decoder, whose pictures are made as large by Pillow's bicubic filter. Both are told the true codes,
 * so that nothing but the decoder counts.
 */
import { describeScene } from '../../data/world/captions.ts';
import type { World } from '../../data/world/world.ts';
import { contactSheet } from '../../image/contact-sheet.ts';
import { resizeImage } from '../../image/resize.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { bootstrapMean } from '../bootstrap.ts';
import { closedWorldNote, type Report, type Score, type Source } from '../report.ts';
import type { JudgedPicture } from '../sheet.ts';
import { finitePsnr } from './emoji-tokenizer.ts';

/** A model's ways between pictures and codes. */
export interface PixelDecoders {
  /** The codes of a picture of `size`. */
  readonly encode: (image: RgbImage) => Promise<readonly number[]>;
  /** The VQ decoder's picture, of `size`. */
  readonly redraw: (codes: readonly number[]) => Promise<RgbImage>;
  /** The diffusion decoder's picture, of `resolution`. */
  readonly diffuse: (codes: readonly number[], caption: string, seed: number) => Promise<RgbImage>;
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
  readonly onPicture?: (done: number, total: number, picture: JudgedPicture) => void;
}

/** Decibels that the diffusion decoder is asked to be ahead. */
const askedGain = 2;

/** Scene i is drawn with the seed `seed + i`, so that no noise serves twice. */
export async function evaluateDecoder(run: DecoderRun): Promise<{ report: Report }> {
  const { world, decoders, size, resolution, seed } = run;
  const rows: Record<'diffusion' | 'vq' | 'gain', number>[] = [];
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
  const score = (name: string, key: keyof (typeof rows)[number]): Score => ({
    name: `emoji-decoder ${name}`,
    estimate: bootstrapMean(
      rows.map((row) => row[key]),
      { seed },
    ),
    unit: 'scenes',
  });
  const report: Report = {
    name: 'emoji-decoder',
    judge: `PSNR against the render of ${resolution} pixels`,
    images: run.scenes,
    seed,
    sampler: { source: run.source.name, ...run.source.sampler },
    scores: [
      score('diffusion PSNR (dB)', 'diffusion'),
      score('VQ PSNR, bicubic (dB)', 'vq'),
      score('diffusion over VQ (dB)', 'gain'),
    ],
    tables: [
      {
        title: 'Diffusion decoder',
        columns: ['codes of pixels', 'pictures of pixels', 'seconds a picture'],
        rows: [[size, resolution, milliseconds / 1000 / run.scenes]],
      },
    ],
    notes: [closedWorldNote, 'Codes are those of the true picture; captions are in GenEval’s grammar.'],
  };
  return { report };
}
