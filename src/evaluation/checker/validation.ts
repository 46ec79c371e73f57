/**
 * What the checker is worth, measured on pictures whose contents are known, before it scores any that are not: how many right
 * pictures it passes, how many wrong ones, by kind of fault, and what is left of that after a tokenizer.
 *
 * Calibration: the threshold was fixed on single objects of seed 1; the search was changed while looking at scenes and prompts
 * of seeds 1, 3, 5 and 9 of the nano world at 64 pixels, all without a model. Tables and scores are for other seeds.
 */
import type { Scene } from '../../data/world/scene.ts';
import type { World } from '../../data/world/world.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { bootstrapMean } from '../bootstrap.ts';
import { decide } from '../geneval/decision.ts';
import { sceneOfPrompt } from '../geneval/generated-prompts.ts';
import type { GenevalPrompt } from '../geneval/prompt-file.ts';
import { type Cell, formatInterval, type Table } from '../report.ts';
import { type Checker, checkerDecision } from './checker.ts';
import { type Degradation, noDegradation } from './degrade.ts';
import { blankScene, plantError, plantedErrors } from './planted-errors.ts';

export interface ValidationOptions {
  readonly checker: Checker;
  readonly world: World;
  readonly prompts: readonly GenevalPrompt[];
  /** Pixels a side. */
  readonly size: number;
  readonly seed: number;
  /** Default: none, pictures as they are drawn. */
  readonly degradations?: readonly Degradation[];
}

/** One kind of picture, and the shares that pass, by degradation. */
export interface ValidationRow {
  readonly input: string;
  readonly expected: string;
  readonly pictures: number;
  readonly passed: Readonly<Record<string, number>>;
  /** Prompts whose pictures were judged as they should not be, of the first degradation. */
  readonly failures: readonly string[];
}

interface Case {
  readonly scene: Scene;
  readonly prompt: GenevalPrompt;
}

/** Judges known pictures; the order of rows is EVALUATION's. */
export async function validateChecker(options: ValidationOptions): Promise<ValidationRow[]> {
  const { prompts, world, seed } = options;
  const { profile } = world;
  const truth = prompts.map((prompt, index): Case => ({ prompt, scene: sceneOfPrompt(prompt, profile, seed + index) }));
  const shuffled = truth.map(({ scene }, index) => ({
    scene,
    // Far enough away that it is of another tag too.
    prompt: prompts[(index + 1 + Math.floor(prompts.length / 3)) % prompts.length]!,
  }));
  const planted = plantedErrors.map((error) => ({
    error,
    cases: truth.flatMap(({ scene, prompt }, index) => {
      const faulty = plantError(scene, prompt, error, profile, seed + index);
      return faulty ? [{ scene: faulty, prompt }] : [];
    }),
  }));
  const blank = prompts.map((prompt, index) => ({ prompt, scene: blankScene(index) }));
  const random = prompts.map((prompt, index) => ({ prompt, scene: world.scene(seed + 1, index, 'any') }));
  const rows = [
    await judged(options, 'renders of the prompts', '1', truth),
    await judged(options, 'the same, prompts shuffled', 'near 0', shuffled),
  ];
  for (const { error, cases } of planted) {
    if (cases.length > 0) rows.push(await judged(options, `planted: ${error}`, '0', cases));
  }
  rows.push(await judged(options, 'blank', '0', blank), await judged(options, 'random scenes', 'near 0', random));
  return rows;
}

async function judged(
  { checker, world, size, seed, degradations = [noDegradation] }: ValidationOptions,
  input: string,
  expected: string,
  cases: readonly Case[],
): Promise<ValidationRow> {
  const passed: Record<string, number> = {};
  const failures: string[] = [];
  for (const [which, { name, apply }] of degradations.entries()) {
    let right = 0;
    for (const [index, { scene, prompt }] of cases.entries()) {
      const image: RgbImage = await apply(world.render(scene, size), seed + index);
      const { correct, reasons } = decide(prompt, checker.read(image).objects, checkerDecision);
      if (correct) right++;
      if (which === 0 && correct !== (expected === '1')) failures.push([prompt.prompt, ...reasons].join('; '));
    }
    passed[name] = right / cases.length;
  }
  return { input, expected, pictures: cases.length, passed, failures };
}

/** The table that stands beside every score. */
export function validationTable(rows: readonly ValidationRow[], seed = 0): Table {
  const names = Object.keys(rows[0]?.passed ?? {});
  return {
    title: 'Validation of the checker: share of pictures judged correct',
    columns: ['pictures shown', 'number', 'expected', ...names.flatMap((name) => [name, '95 %'])],
    rows: rows.map((row): Cell[] => [
      row.input,
      row.pictures,
      row.expected,
      ...names.flatMap((name) => {
        const share = row.passed[name]!;
        const right = Math.round(share * row.pictures);
        const values = Array.from({ length: row.pictures }, (_, i) => (i < right ? 1 : 0));
        return [share, formatInterval(bootstrapMean(values, { seed, resamples: 200 }))];
      }),
    ]),
  };
}
