/** Recipes of trainings: what every stage's recipe has, as one schema with its documentation, and reading them from YAML. */
import { readFile } from 'node:fs/promises';
import { parseDocument, parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { TrainingError } from './error.ts';
import { matrixOptimizers } from './optimizer.ts';
import { schedules } from './schedule.ts';

const whole = (least: number) => z.int().min(least);

/** What `train` reads. */
const trainerFields = {
  steps: whole(1).describe('Updates of the weights in all.'),
  learningRate: z.number().positive().describe('The highest learning rate.'),
  warmupSteps: whole(0).default(0).describe('Steps in which the learning rate rises from near 0. Default: 0.'),
  schedule: z
    .enum(schedules)
    .default('cosine')
    .describe('How the learning rate falls after the rise: cosine, linear, or constant. Default: cosine.'),
  finalRate: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('What is left of the learning rate at the end, as a part of it, 0 to 1. Default: 0.'),
  optimizer: z
    .enum(matrixOptimizers)
    .default('adamw')
    .describe('What moves matrices inside the network, adamw or muon; all else is moved by adamw. Default: adamw.'),
  weightDecay: z
    .number()
    .min(0)
    .default(0.01)
    .describe('Decoupled decay of weights of two axes and more, times the learning rate. Default: 0.01.'),
  beta1: z.number().min(0).lt(1).default(0.9).describe('Decay of the mean of gradients, below 1. Default: 0.9.'),
  beta2: z.number().min(0).lt(1).default(0.999).describe('Decay of the mean of squared gradients. Default: 0.999.'),
  clipNorm: z
    .number()
    .positive()
    .or(z.literal(Infinity))
    .default(1)
    .describe('Largest norm of all gradients together; .inf does not clip. Default: 1.'),
  accumulate: whole(1)
    .default(1)
    .describe('Batches whose gradients make one step, one after another in the memory of one. Default: 1.'),
  ema: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('Decay of the running average of weights, below 1; 0 keeps none. Default: 0.'),
  seed: whole(0)
    .default(0)
    .describe('Decides every choice of chance: the same seed gives the same training. Default: 0.'),
  saveEvery: whole(1).default(500).describe('Steps between checkpoints. Default: 500.'),
  keep: whole(1).default(3).describe('Checkpoints that stay; older ones are removed. Default: 3.'),
  previewEvery: whole(0)
    .default(0)
    .describe('Steps between previews and measurements on held-out data; 0 makes none. Default: 0.'),
  logEvery: whole(1).default(10).describe('Steps between lines in metrics.jsonl and TensorBoard. Default: 10.'),
  stepsPerRun: whole(1)
    .default(1)
    .describe('Steps in one call of the runtime; steps and all intervals must be multiples of it. Default: 1.'),
};

/** Fields of every stage's recipe. */
export const recipeFields = {
  ...trainerFields,
  batch: whole(1).describe('Samples of one batch; a step sees accumulate times as many.'),
};

/** A key whose value does not go with the others, and what was expected. */
export type Contradiction = readonly [key: string, expected: string];

/** A refinement that refuses every contradiction that is found. */
export function refuseEach<Value extends object>(
  find: (value: Value) => Iterable<Contradiction>,
): (value: Value, context: z.RefinementCtx) => void {
  return (value, context) => {
    for (const [key, message] of find(value)) {
      context.addIssue({ code: 'custom', path: [key], message, input: value[key as keyof Value] });
    }
  };
}

const intervals = ['steps', 'saveEvery', 'previewEvery'] as const;

/** A run is not divided: everything that happens between steps must fall between runs. */
const checkIntervals = refuseEach(function* (
  settings: Readonly<Record<(typeof intervals)[number] | 'stepsPerRun' | 'warmupSteps', number>>,
) {
  for (const key of intervals) {
    if (settings[key] % settings.stepsPerRun === 0) continue;
    yield [key, `expected a multiple of stepsPerRun, which is ${settings.stepsPerRun}`];
  }
});

const trainerSchema = z.object(trainerFields).superRefine(checkIntervals);

/** What `train` is given; what is left out has the default that `recipeFields` says. */
export type TrainerSettings = z.input<typeof trainerSchema>;
/** The same with the defaults filled in. */
export type CompleteSettings = z.output<typeof trainerSchema>;

/**
 * The schema of a stage's recipe: the common fields and the stage's own, which win where both have a name. Unknown keys
 * are refused.
 */
export function recipeSchema<Fields extends z.ZodRawShape>(stageFields: Fields) {
  return z
    .strictObject({ ...recipeFields, ...stageFields })
    .superRefine((recipe, context) => checkIntervals(recipe as never, context));
}

/**
 * Fills in the trainer's defaults; other keys (a stage's own) are left out.
 * @throws TrainingError `training_option_invalid` with the key, what was expected and what was got
 */
export function completeSettings(settings: TrainerSettings): CompleteSettings {
  const parsed = trainerSchema.safeParse(settings);
  if (parsed.success) return parsed.data;
  const problems = problemsOf(parsed.error, settings);
  throw new TrainingError('training_option_invalid', problems.map(String).join('; '), { problems });
}

/** A value that is put into a recipe before it is checked, in place of the file's. */
export interface RecipeChange {
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * @param text `stages.generation.steps=2000`: a key with dots (in a list the place, from 0), and a value in YAML
 * @throws TrainingError `recipe_invalid` for a text without a key, and for a value that is not YAML
 */
export function parseChange(text: string): RecipeChange {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || key.split('.').includes('')) {
    throw new TrainingError('recipe_invalid', `${text}: expected KEY=VALUE, the key as stages.generation.steps`);
  }
  try {
    return { path: key.split('.'), value: parseYaml(value!) };
  } catch (cause) {
    const [reason] = (cause as Error).message.split('\n');
    throw new TrainingError('recipe_invalid', `${key}: the value is not YAML: ${reason}`, {}, { cause });
  }
}

/** The value with a part replaced; nothing is changed in place, since parts that YAML's aliases share are one object. */
function changed(inner: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  if (Array.isArray(inner)) {
    const place = Number(key);
    if (!/^\d+$/.test(key) || place >= inner.length) {
      throw new TrainingError('recipe_invalid', `${key}: expected a place from 0 to ${inner.length - 1} in a list`);
    }
    return inner.with(place, changed(inner[place], rest, value));
  }
  if (inner !== null && inner !== undefined && typeof inner !== 'object') {
    const message = `${key}: expected a part of an object or a list, got one of ${JSON.stringify(inner)}`;
    throw new TrainingError('recipe_invalid', message);
  }
  const entries = Object.entries(inner ?? {});
  const own = entries.find(([name]) => name === key)?.[1];
  return Object.fromEntries([...entries.filter(([name]) => name !== key), [key, changed(own, rest, value)]]);
}

/**
 * Reads a recipe.
 * @param path a YAML file; one document, without anchors that repeat themselves
 * @param changes put into it first, in order
 * @throws TrainingError `recipe_invalid`: the file cannot be read, is not YAML, has a key that no field has or a value out
 * of its range; the message has a line for each problem with the file, the key, what was expected and what was got
 */
export async function readRecipe<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  changes: readonly RecipeChange[] = [],
): Promise<z.output<Schema>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const message = `${path}: cannot be read (${(cause as Error).message})`;
    throw new TrainingError('recipe_invalid', message, { file: path }, { cause });
  }
  return parseRecipe(text, schema, path, changes);
}

/** Like `readRecipe`, from text; `file` names it in messages. */
export function parseRecipe<Schema extends z.ZodType>(
  text: string,
  schema: Schema,
  file: string,
  changes: readonly RecipeChange[] = [],
): z.output<Schema> {
  const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault) throw new TrainingError('recipe_invalid', `${file}: is not YAML: ${fault.message}`, { file });
  let value: unknown;
  try {
    // The default limit on aliases keeps a small file from becoming a huge value.
    value = document.toJS();
  } catch (cause) {
    throw new TrainingError('recipe_invalid', `${file}: ${(cause as Error).message}`, { file }, { cause });
  }
  const whole = changes.reduce<unknown>((inner, change) => changed(inner, change.path, change.value), value ?? {});
  const parsed = schema.safeParse(whole);
  if (parsed.success) return parsed.data;
  const problems = problemsOf(parsed.error, whole);
  throw new TrainingError('recipe_invalid', problems.map((problem) => `${file}: ${problem}`).join('\n'), {
    file,
    problems,
  });
}

/** `key: expected ..., got ...` for each problem. */
function problemsOf(error: z.ZodError, value: unknown): string[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => `${[...issue.path, key].join('.')}: there is no such key`);
    }
    const got = issue.path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown>)?.[key], value);
    const expected = issue.message.replace(/^Invalid (input|option): /, '').replace(/, received .*$/, '');
    const where = issue.path.join('.') || 'the recipe';
    return got === undefined
      ? `${where}: is missing: ${expected}`
      : `${where}: ${expected}, got ${JSON.stringify(got)}`;
  });
}
