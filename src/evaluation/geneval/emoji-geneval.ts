/**
 * emoji-GenEval: GenEval's protocol on the closed world, with its own checker in the place of Mask2Former and CLIP. A tag's
 * score is the mean over its pictures, the overall score the mean of the tags' scores (`summary_scores.py`).
 */
import type { RgbImage } from '../../image/rgb-image.ts';
import { bootstrapStrata, type Estimate, mean } from '../bootstrap.ts';
import { type Checker, checkerDecision } from '../checker/checker.ts';
import { EvaluationError } from '../error.ts';
import { closedWorldNote, type Report, type Source, type Table } from '../report.ts';
import type { JudgedPicture } from '../sheet.ts';
import { type Decision, decide } from './decision.ts';
import { type GenevalPrompt, type Tag, tags } from './prompt-file.ts';

/** Draws a prompt. */
export type Generator = (prompt: string, seed: number) => Promise<RgbImage>;

export interface PromptResult {
  readonly prompt: GenevalPrompt;
  /** One a picture. */
  readonly decisions: readonly Decision[];
}

export interface GenevalScores {
  readonly tags: Readonly<Partial<Record<Tag, Estimate>>>;
  readonly overall: Estimate;
  /** Over all pictures. */
  readonly images: Estimate;
  /** Share of prompts with a right picture. */
  readonly prompts: Estimate;
}

export interface GenevalRun {
  /** Of the report and its scores. Default `emoji-GenEval`. */
  readonly name?: string;
  readonly prompts: readonly GenevalPrompt[];
  readonly generator: Generator;
  readonly checker: Checker;
  readonly source: Source;
  /** Picture i of every prompt has seed + i. */
  readonly seed: number;
  /** Default 4. */
  readonly imagesPerPrompt?: number;
  /** The checker's validation, to be printed beside the scores. */
  readonly validation?: Table;
  readonly notes?: readonly string[];
  /** Called after each picture. */
  readonly onPicture?: (done: number, total: number, picture: JudgedPicture) => void;
}

/** Draws and judges all pictures. */
export async function evaluateGeneval(run: GenevalRun): Promise<{ report: Report; results: PromptResult[] }> {
  const { prompts, generator, checker, seed, imagesPerPrompt = 4 } = run;
  const results: PromptResult[] = [];
  const total = prompts.length * imagesPerPrompt;
  for (const prompt of prompts) {
    const decisions: Decision[] = [];
    for (let i = 0; i < imagesPerPrompt; i++) {
      const image = await generator(prompt.prompt, seed + i);
      const decision = decide(prompt, checker.read(image).objects, checkerDecision);
      decisions.push(decision);
      const done = results.length * imagesPerPrompt + i + 1;
      const text = [prompt.prompt, ...decision.reasons].join('; ');
      run.onPicture?.(done, total, { image, verdict: decision.correct ? 'right' : 'wrong', text });
    }
    results.push({ prompt, decisions });
  }
  return { report: reportOf(run, results), results };
}

/** Intervals come from drawing prompts anew within their tags. */
export function genevalScores(results: readonly PromptResult[], seed = 0): GenevalScores {
  if (results.length === 0) throw new EvaluationError('evaluation_empty', 'emoji-GenEval: no prompts');
  const strata = tags
    .map((tag) => ({ tag, results: results.filter(({ prompt }) => prompt.tag === tag) }))
    .filter((stratum) => stratum.results.length > 0);
  const correct = (list: readonly PromptResult[]) =>
    list.flatMap(({ decisions }) => decisions.map((decision) => (decision.correct ? 1 : 0)));
  const any = (list: readonly PromptResult[]) => list.map((result) => (correct([result]).includes(1) ? 1 : 0));
  const lists = strata.map((stratum) => stratum.results);
  const estimate = (statistic: (drawn: readonly (readonly PromptResult[])[]) => number) =>
    bootstrapStrata(lists, statistic, { seed });
  return {
    tags: Object.fromEntries(
      strata.map(({ tag, results: list }) => [
        tag,
        bootstrapStrata([list], ([drawn]) => mean(correct(drawn!)), { seed }),
      ]),
    ),
    overall: estimate((drawn) => mean(drawn.map((list) => mean(correct(list))))),
    images: estimate((drawn) => mean(correct(drawn.flat()))),
    prompts: estimate((drawn) => mean(any(drawn.flat()))),
  };
}

function reportOf(run: GenevalRun, results: readonly PromptResult[]): Report {
  const scores = genevalScores(results, run.seed);
  const unit = 'prompts';
  const { name = 'emoji-GenEval' } = run;
  return {
    name,
    judge: run.checker.name,
    images: results.reduce((sum, { decisions }) => sum + decisions.length, 0),
    seed: run.seed,
    sampler: { source: run.source.name, ...run.source.sampler },
    scores: [
      { name: `${name} overall (mean of tags)`, estimate: scores.overall, unit },
      ...Object.entries(scores.tags).map(([tag, estimate]) => ({ name: `${name} ${tag}`, estimate, unit })),
      { name: `${name} images correct`, estimate: scores.images, unit },
      { name: `${name} prompts with any correct`, estimate: scores.prompts, unit },
    ],
    tables: run.validation ? [run.validation] : [],
    notes: [closedWorldNote, ...(run.notes ?? [])],
  };
}
