/**
 * emoji-plans: what the base thinks before a picture is drawn, judged by itself. The plan of a prompt is held to GenEval's
 * rule, that of an edit to emoji-ImgEdit's, that of a picture to the picture; so what is thought wrong can be told from what is
 * drawn wrong.
 */
import { DataError } from '../../data/error.ts';
import { boxesOverlap } from '../../data/world/facts.ts';
import { ownColourOf } from '../../data/world/own-colours.ts';
import type { WorldObject } from '../../data/world/scene.ts';
import { planText, readPlan } from '../../data/world/scene-plan.ts';
import type { World } from '../../data/world/world.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { bootstrapMean, bootstrapStrata, mean } from '../bootstrap.ts';
import type { FoundObject } from '../checker/checker.ts';
import { decide } from '../geneval/decision.ts';
import { genevalScores, type PromptResult } from '../geneval/emoji-geneval.ts';
import type { GenevalPrompt } from '../geneval/prompt-file.ts';
import { complianceOf } from '../imgedit/compliance.ts';
import type { EditItem } from '../imgedit/emoji-imgedit.ts';
import { complianceScore } from '../imgedit/mapping.ts';
import { closedWorldNote, type Report, type Score, type Source } from '../report.ts';

/** Thinks about a text, or about a picture and a text. */
export type Thinker = (image: RgbImage | null, text: string, seed: number) => Promise<string>;

export interface PlansRun {
  readonly world: World;
  readonly thinker: Thinker;
  readonly prompts: readonly GenevalPrompt[];
  /** Plan i of every prompt has seed + i. */
  readonly plansPerPrompt: number;
  readonly edits: readonly EditItem[];
  /** Asks for the plan of a picture. */
  readonly request: string;
  /** How many pictures are asked about. */
  readonly pictures: number;
  /** Pixels a side. */
  readonly size: number;
  /** Cells a side. */
  readonly grid: number;
  readonly source: Source;
  readonly seed: number;
  readonly notes?: readonly string[];
  /** Called after each plan. */
  readonly onPlan?: (done: number, total: number) => void;
}

/** A plan and whether it is right. */
export interface JudgedPlan {
  readonly asked: string;
  readonly plan: string;
  readonly correct: boolean;
  /** One for each fault, in words. */
  readonly reasons: readonly string[];
}

export interface PlanResults {
  readonly prompts: readonly (PromptResult & { readonly plans: readonly JudgedPlan[] })[];
  readonly edits: readonly (JudgedPlan & { readonly type: string })[];
  readonly pictures: readonly JudgedPlan[];
}

export async function evaluatePlans(run: PlansRun): Promise<{ report: Report; results: PlanResults }> {
  const { world, thinker, seed, grid, size } = run;
  const total = run.prompts.length * run.plansPerPrompt + run.edits.length + run.pictures;
  let done = 0;
  const thought = async (image: RgbImage | null, text: string, each: number) => {
    const plan = await thinker(image, text, each);
    run.onPlan?.(++done, total);
    return plan;
  };
  const prompts: PlanResults['prompts'][number][] = [];
  for (const prompt of run.prompts) {
    const plans: JudgedPlan[] = [];
    for (let i = 0; i < run.plansPerPrompt; i++) {
      plans.push(judgePrompt(prompt, await thought(null, prompt.prompt, seed + i), grid));
    }
    prompts.push({ prompt, decisions: plans, plans });
  }
  const edits: PlanResults['edits'][number][] = [];
  for (const item of run.edits) {
    const plan = await thought(item.source, item.edit.instruction, seed);
    edits.push({ ...judgeEdit(item, plan, grid), type: item.edit.type });
  }
  const pictures: JudgedPlan[] = [];
  for (let index = 0; index < run.pictures; index++) {
    const scene = world.scene(seed, index, 'any');
    const expected = planText({ scene }, { grid });
    const plan = await thought(world.render(scene, size), run.request, seed);
    const correct = plan === expected;
    pictures.push({ asked: run.request, plan, correct, reasons: correct ? [] : [`expected ${expected}`] });
  }
  const results = { prompts, edits, pictures };
  return { report: reportOf(run, results), results };
}

/** GenEval's rule on the things of a plan; what is no plan is wrong. */
export function judgePrompt(prompt: GenevalPrompt, plan: string, grid: number): JudgedPlan {
  return judged(prompt.prompt, plan, grid, ({ scene }) => decide(prompt, scene.objects.map(foundIn)));
}

/** emoji-ImgEdit's s1 on what a plan says, which must be 5. */
export function judgeEdit({ scene, edit }: Pick<EditItem, 'scene' | 'edit'>, plan: string, grid: number): JudgedPlan {
  return judged(edit.instruction, plan, grid, (target) => {
    const { background, objects } = target.scene;
    if (edit.target.imageMap !== target.imageMap) {
      return wrong(`expected ${edit.target.imageMap ?? 'no map'} of the picture`);
    }
    // Where all of a picture is changed, its things stay as they are.
    const { operations } = edit.target.imageMap ? { operations: [] } : edit;
    const found = complianceOf(scene, { operations }, background, target.canvas, objects.map(foundIn));
    const score = operations.length === 0 ? (found.collateral + found.slips === 0 ? 5 : 3) : complianceScore(found);
    return score === 5
      ? right
      : wrong(`s1 ${score}: ${found.outcomes.join(', ')}; expected ${planText(edit.target, { grid })}`);
  });
}

interface Verdict {
  readonly correct: boolean;
  readonly reasons: readonly string[];
}

const right: Verdict = { correct: true, reasons: [] };
const wrong = (reason: string): Verdict => ({ correct: false, reasons: [reason] });

function judged(
  asked: string,
  plan: string,
  grid: number,
  judge: (target: ReturnType<typeof readPlan>) => Verdict,
): JudgedPlan {
  try {
    const target = readPlan(plan, grid);
    const { correct, reasons } = judge(target);
    return { asked, plan, correct, reasons };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { asked, plan, correct: false, reasons: [error.message] };
  }
}

/** A thing of a plan as a judge would find it in a picture that shows it exactly. */
function foundIn(object: WorldObject): FoundObject {
  const { box, colour, sprite, style, flip } = object;
  return {
    class: object.class,
    sprite,
    style,
    flip,
    colour: colour ?? ownColourOf(style, sprite)!,
    own: colour === null,
    confidence: 1,
    square: box,
    box: { x1: box.x, y1: box.y, x2: box.x + box.width, y2: box.y + box.height },
  };
}

const share = (plans: readonly JudgedPlan[]) => mean(plans.map(({ correct }) => (correct ? 1 : 0)));

function reportOf(run: PlansRun, { prompts, edits, pictures }: PlanResults): Report {
  const { seed, grid } = run;
  const scores: Score[] = [];
  if (prompts.length > 0) {
    const { overall, tags } = genevalScores(prompts, seed);
    scores.push({ name: 'emoji-plans of prompts (mean of tags)', estimate: overall, unit: 'prompts' });
    for (const [tag, estimate] of Object.entries(tags)) {
      scores.push({ name: `emoji-plans of prompts, ${tag}`, estimate, unit: 'prompts' });
    }
  }
  if (pictures.length > 0) {
    const values = pictures.map(({ correct }) => (correct ? 1 : 0));
    scores.push({ name: 'emoji-plans of pictures', estimate: bootstrapMean(values, { seed }), unit: 'pictures' });
  }
  if (edits.length > 0) {
    const types = [...new Set(edits.map(({ type }) => type))];
    const strata = types.map((type) => edits.filter((edit) => edit.type === type));
    const overall = bootstrapStrata(strata, (drawn) => mean(drawn.map((list) => share(list))), { seed });
    scores.push({ name: 'emoji-plans of edits (mean of types)', estimate: overall, unit: 'edits' });
    for (const [at, list] of strata.entries()) {
      const estimate = bootstrapStrata([list], ([drawn]) => share(drawn!), { seed });
      scores.push({ name: `emoji-plans of edits, ${types[at]}`, estimate, unit: 'edits' });
    }
  }
  const all = [...prompts.flatMap(({ plans }) => plans), ...edits, ...pictures];
  return {
    name: 'emoji-plans',
    judge: "GenEval's rule, emoji-ImgEdit's s1, and the picture's own plan",
    images: all.length,
    seed,
    sampler: { source: run.source.name, ...run.source.sampler },
    scores,
    tables: [
      {
        title: 'What is wrong with plans, of all',
        columns: ['fault', 'plans', 'of'],
        rows: [
          ['cannot be read', all.filter(({ plan }) => !readable(plan, grid)).length, all.length],
          ['things overlap', all.filter(({ plan }) => overlaps(plan, grid)).length, all.length],
          ['wrong', all.filter(({ correct }) => !correct).length, all.length],
        ],
      },
      {
        title: 'Plans that were wrong, the first 12',
        columns: ['asked', 'thought', 'why'],
        rows: all
          .filter(({ correct }) => !correct)
          .slice(0, 12)
          .map(({ asked, plan, reasons }) => [asked, plan, reasons.join('; ')]),
      },
    ],
    notes: [closedWorldNote, ...(run.notes ?? [])],
  };
}

function thingsOf(plan: string, grid: number): readonly WorldObject[] | undefined {
  try {
    return readPlan(plan, grid).scene.objects;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return undefined;
  }
}

function readable(plan: string, grid: number): boolean {
  return thingsOf(plan, grid) !== undefined;
}

function overlaps(plan: string, grid: number): boolean {
  const things = thingsOf(plan, grid) ?? [];
  return things.some((a, i) => things.slice(i + 1).some((b) => boxesOverlap(a.box, b.box)));
}
