/**
 * The options of the command line. Names, prose and defaults are those of the schemas in `tasks/options.ts`, which also
 * check the values: here strings only become numbers.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { z } from 'zod';
import { type DeviceRequest, deviceRequests } from '../runtime/device.ts';
import { defaultModel, packagedModels } from '../tasks/packaged-model.ts';
import { Star } from '../tasks/star.ts';

/** Options that every command has. */
export interface CommonValues {
  readonly model?: string;
  readonly device?: DeviceRequest;
  readonly threads?: number;
  readonly json?: boolean;
}

const decimal = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** The number that a word spells, all of it. */
export function parseNumber(word: string): number {
  if (!decimal.test(word.trim())) throw new InvalidArgumentError('Expected a number.');
  return Number(word);
}

/** Numbers with commas between them. */
export function parseNumbers(words: string): number[] {
  return words.split(',').map(parseNumber);
}

/** An option of a task, with a value placeholder such as `<n>`; without one it is a switch. */
export interface TaskFlag {
  readonly flags: string;
  readonly number?: boolean;
  /** Numbers with commas between them. */
  readonly numbers?: boolean;
  /** What the default is, where the schema leaves it to the model folder. */
  readonly fallback?: string;
}

/** Adds options of a task; each flag in camel case is a key of the schema. */
export function addTaskOptions(command: Command, schema: z.ZodObject, flags: readonly TaskFlag[]): Command {
  for (const { flags: text, number, numbers, fallback } of flags) {
    const option = new Option(text);
    const prose = descriptionOf(schema.shape[option.attributeName()] as z.ZodType);
    option.description = fallback ? `${prose} Default: ${fallback}.` : prose;
    if (number) option.argParser(parseNumber);
    if (numbers) option.argParser(parseNumbers);
    command.addOption(option);
  }
  return command;
}

/** The prose of a schema, or of the one that it makes optional. */
function descriptionOf(schema: z.ZodType): string {
  let inner: z.ZodType | undefined = schema;
  while (inner) {
    if (inner.description !== undefined) return inner.description;
    inner = 'unwrap' in inner ? (inner as z.ZodOptional<z.ZodType>).unwrap() : undefined;
  }
  throw new Error('internal: an option without description');
}

/** The values that the schema of a task knows and that were given; the schema's defaults fill the rest. */
export function givenOptions(schema: z.ZodObject, values: object): Record<string, unknown> {
  const keys = new Set(Object.keys(schema.shape));
  return Object.fromEntries(Object.entries(values).filter(([key, value]) => keys.has(key) && value !== undefined));
}

/** Where to find the model. */
export function addModelOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--model <dir>',
      `Model folder, or ${packagedModels.join(', ')}. Default: the environment variable STARSTACK_MODEL, else ${defaultModel}.`,
    ).argParser(String),
  );
}

/** Where to compute, and how to answer. */
export function addRuntimeOptions(command: Command): Command {
  command
    .option('--device <name>', `Where to compute: ${deviceRequests.join(', ')}. Default auto.`)
    .option('--threads <n>', 'Threads inside an operator. Default: the physical cores.', parseNumber);
  return addReportOptions(command);
}

/** How a command tells what it did; for those that compute nothing. */
export function addReportOptions(command: Command): Command {
  return command
    .option('--json', 'Print one JSON object and nothing else. Default: text for people.')
    .option('--debug', 'Print stack traces of errors. Default: one line.');
}

/** The model that `--model` or `STARSTACK_MODEL` names, or the package's own. */
export function modelOf({ model }: Pick<CommonValues, 'model'>): string {
  return model ?? (process.env.STARSTACK_MODEL || defaultModel);
}

/** Opens it. */
export function loadStar(values: CommonValues): Promise<Star> {
  return Star.load(modelOf(values), { device: values.device, threads: values.threads });
}
