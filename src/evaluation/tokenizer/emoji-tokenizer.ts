/**
 * emoji-tokenizer: what is left of pictures after encoding and decoding. The number that matters most here is the checker's: how
 * many scenes can still be read exactly. No rFID: it needs Inception's weights.
 */
import type { Scene } from '../../data/world/scene.ts';
import type { World } from '../../data/world/world.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { l1Of, meanSquaredError, psnrOfError, ssimOf } from '../../image/similarity.ts';
import { bootstrapMean } from '../bootstrap.ts';
import { type Checker, checkerThreshold } from '../checker/checker.ts';
import { closedWorldNote, type Report, type Score, type Source } from '../report.ts';
import type { JudgedPicture } from '../sheet.ts';
import { codebookUse } from './codebook.ts';

/** Encodes and decodes a picture; the result has the picture's size. */
export type Reconstructor = (
  image: RgbImage,
) => Promise<{ readonly image: RgbImage; readonly codes: readonly number[] }>;

export interface TokenizerRun {
  readonly world: World;
  readonly reconstruct: Reconstructor;
  readonly codebookSize: number;
  readonly checker: Checker;
  readonly source: Source;
  /** Pixels a side. */
  readonly size: number;
  readonly seed: number;
  readonly scenes: number;
  readonly onPicture?: (done: number, total: number, picture: JudgedPicture) => void;
}

/** Whether the checker reads exactly the scene's objects: classes, places, and colours where they are given. */
export function readsExactly(checker: Checker, image: RgbImage, scene: Scene): boolean {
  const found = checker.read(image).objects.filter(({ confidence }) => confidence > checkerThreshold);
  if (found.length !== scene.objects.length) return false;
  return scene.objects.every(({ class: name, colour, box }) =>
    found.some(
      (object) =>
        object.class === name &&
        (colour === null || object.colour === colour) &&
        Math.abs(object.square.x + object.square.width / 2 - box.x - box.width / 2) <= box.width / 2 &&
        Math.abs(object.square.y + object.square.height / 2 - box.y - box.height / 2) <= box.height / 2,
    ),
  );
}

export function finitePsnr(picture: RgbImage, other: RgbImage): number {
  return finitePsnrOfError(meanSquaredError(picture, other)!);
}

/** A picture that comes back exactly has no finite PSNR; its error is taken as a quarter of a level. */
export function finitePsnrOfError(squaredError: number): number {
  return psnrOfError(Math.max(squaredError, (0.25 / 255) ** 2));
}

export async function evaluateTokenizer(run: TokenizerRun): Promise<{ report: Report }> {
  const { world, checker, size, seed } = run;
  const codes: number[] = [];
  const rows: Record<'l1' | 'psnr' | 'ssim' | 'ssim2' | 'before' | 'after', number>[] = [];
  for (let index = 0; index < run.scenes; index++) {
    const scene = world.scene(seed, index, 'any');
    const picture = world.render(scene, size);
    const { image, codes: chosen } = await run.reconstruct(picture);
    // One by one: a spread of all pictures' codes would overflow the stack.
    for (const code of chosen) codes.push(code);
    const after = readsExactly(checker, image, scene);
    rows.push({
      l1: l1Of(picture, image),
      psnr: finitePsnr(picture, image),
      ssim: ssimOf(picture, image),
      ssim2: ssimOf(picture, image, 2),
      before: readsExactly(checker, picture, scene) ? 1 : 0,
      after: after ? 1 : 0,
    });
    run.onPicture?.(index + 1, run.scenes, { image, verdict: after ? 'right' : 'wrong', text: `scene ${index}` });
  }
  const use = codebookUse(codes, run.codebookSize);
  const score = (name: string, key: keyof (typeof rows)[number]): Score => ({
    name: `emoji-tokenizer ${name}`,
    estimate: bootstrapMean(
      rows.map((row) => row[key]),
      { seed },
    ),
    unit: 'pictures',
  });
  const report: Report = {
    name: 'emoji-tokenizer',
    judge: `PSNR, SSIM and L1; ${checker.name}`,
    images: run.scenes,
    seed,
    sampler: { source: run.source.name, ...run.source.sampler },
    scores: [
      score('PSNR (dB)', 'psnr'),
      score('SSIM (data range 1)', 'ssim'),
      score("SSIM (data range 2, LlamaGen's)", 'ssim2'),
      score('L1', 'l1'),
      score('scenes read exactly before', 'before'),
      score('scenes read exactly after', 'after'),
    ],
    tables: [
      {
        title: 'Codebook',
        columns: ['tokens', 'codes', 'usage', 'usage if uniform', 'perplexity', 'of codes'],
        rows: [[use.tokens, use.codebookSize, use.usage, use.uniformUsage, use.perplexity, use.perplexityShare]],
      },
    ],
    notes: [closedWorldNote, 'No rFID: Inception features are not at hand.'],
  };
  return { report };
}
