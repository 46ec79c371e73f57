/** `starstack evaluate NAME` */

import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { planRequests } from '../data/world/conversations.ts';
import { fullWorld, nanoWorld } from '../data/world/profile.ts';
import { World } from '../data/world/world.ts';
import { Checker } from '../evaluation/checker/checker.ts';
import { blurAndNoiseDegradation, noDegradation } from '../evaluation/checker/degrade.ts';
import { validateChecker, validationTable } from '../evaluation/checker/validation.ts';
import { evaluateGeneval, type Generator } from '../evaluation/geneval/emoji-geneval.ts';
import {
  generatePrompts,
  isExpressible,
  knowledgePrompts,
  type PromptSplit,
} from '../evaluation/geneval/generated-prompts.ts';
import { readGenevalPrompts, tags } from '../evaluation/geneval/prompt-file.ts';
import { evaluateImgEdit, sampleEditItems } from '../evaluation/imgedit/emoji-imgedit.ts';
import { evaluatePlans } from '../evaluation/plans/emoji-plans.ts';
import { formatReport, type Report, type Source, type Table } from '../evaluation/report.ts';
import { type JudgedPicture, judgedSheet } from '../evaluation/sheet.ts';
import { evaluateDecoder } from '../evaluation/tokenizer/emoji-decoder.ts';
import { evaluateTokenizer } from '../evaluation/tokenizer/emoji-tokenizer.ts';
import { evaluateUnderstanding } from '../evaluation/understanding/emoji-understanding.ts';
import { resizeImage } from '../image/resize.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import { saveImage } from '../image/save.ts';
import { chooseDiffusion, diffusionSettings, drawDiffusion } from '../tasks/draw-diffusion.ts';
import {
  diffusionOptionNames,
  parseOptions,
  parsePictureOptions,
  pictureOptionsSchema,
  samplingDefaults,
} from '../tasks/options.ts';
import { decodeCodes, encodeCodes, toImages } from '../tasks/pictures.ts';
import { Star } from '../tasks/star.ts';
import { drain } from '../tasks/task.ts';
import { noReasoning, samplingFlags } from './draw.ts';
import { UsageError } from './failure.ts';
import { Interrupt } from './interrupt.ts';
import {
  addModelOption,
  addRuntimeOptions,
  addTaskOptions,
  type CommonValues,
  givenOptions,
  modelOf,
  parseNumber,
} from './options.ts';
import { printJson } from './output.ts';
import { requireWritable } from './picture-files.ts';
import { printable } from './printable.ts';

export const worlds = { nano: nanoWorld, full: fullWorld };
const splits: readonly PromptSplit[] = ['seen', 'held-out', 'any'];

interface EvaluateValues extends CommonValues {
  readonly seed?: number;
  readonly limit: number;
  readonly images: number;
  readonly world: keyof typeof worlds;
  readonly split: PromptSplit;
  readonly prompts?: string;
  readonly validation: number;
  readonly sheet?: string;
}

/** Picture options as given. */
type Sampler = Readonly<Record<string, string | number>>;

/** What an evaluation is run with. */
interface Bench {
  readonly star: Star;
  readonly world: World;
  readonly checker: Checker;
  /** Pixels a side of the pictures that the chosen decoder draws. */
  readonly size: number;
  readonly seed: number;
  readonly values: EvaluateValues;
  readonly sampler: Sampler;
  /** Sampler settings as given, and a signal. */
  readonly options: object;
  readonly source: Source;
  readonly follow: (done: number, total: number, picture?: JudgedPicture) => void;
}

const evaluations: Readonly<Record<string, (bench: Bench) => Promise<Report>>> = {
  'emoji-geneval': geneval,
  'emoji-knowledge': knowledge,
  'emoji-imgedit': imgedit,
  'emoji-understanding': understanding,
  'emoji-plans': plans,
  'emoji-tokenizer': tokenizer,
  'emoji-decoder': decoder,
};

export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .summary('score a model on the closed world of emoji')
    .description('Scores a model on pictures whose contents are known exactly. Progress goes to standard error.')
    .addArgument(new Argument('<name>', 'what to score').choices(Object.keys(evaluations)))
    .option('--limit <n>', 'Prompts a tag or in all, edits a type, or scenes. Default 20.', wholeNumber, 20)
    .option('--images <n>', 'Pictures a prompt, of emoji-geneval, or plans, of emoji-plans. Default 4.', wholeNumber, 4)
    .addOption(worldOption())
    .addOption(choice('--split <name>', 'Own prompts by what training showed', splits, 'any'))
    .option('--prompts <file>', "GenEval's evaluation_metadata.jsonl instead of own prompts; what the world can show.")
    .option(
      '--validation <n>',
      'Prompts a tag on which the checker is tried first; 0 is none. Default 3.',
      countFromZero,
      3,
    )
    .option('--sheet <file>', 'Save the first 64 pictures there, framed by verdict. Default: none.');
  addTaskOptions(addModelOption(command), pictureOptionsSchema, [
    { flags: '--seed <n>', number: true, fallback: '0' },
    ...samplingFlags,
    { flags: '--decoder <name>' },
    { flags: '--steps <n>', number: true },
    { flags: '--resolution <n>', number: true },
    { flags: '--diffusion-guidance <w>', number: true },
    { flags: '--image-guidance <w>', number: true },
    { flags: '--vq-guidance <w>', number: true },
  ]);
  return addRuntimeOptions(command.addOption(noReasoning())).action(evaluate);
}

export function worldOption(): Option {
  return choice('--world <name>', 'World that the model knows', Object.keys(worlds), 'nano');
}

function choice(flags: string, prose: string, names: readonly string[], fallback: string): Option {
  return new Option(flags, `${prose}: ${names.join(', ')}. Default ${fallback}.`).choices(names).default(fallback);
}

function wholeNumber(word: string): number {
  const value = parseNumber(word);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('Expected a whole number from 1.');
  return value;
}

export function countFromZero(word: string): number {
  return Number(word) === 0 ? 0 : wholeNumber(word);
}

const sheetLimit = 64;

async function evaluate(name: string, values: EvaluateValues): Promise<void> {
  await requireWritable('--sheet', values.sheet);
  // Many pictures of one size are drawn.
  const { device, threads } = values;
  await using star = await Star.load(modelOf(values), { device, threads, keepDecoder: true });
  using interrupt = new Interrupt('Stopping; Ctrl-C again quits at once.');
  const profile = worlds[values.world];
  const world = await World.open(profile);
  const pictures: JudgedPicture[] = [];
  const { seed: given, ...sampler } = givenOptions(pictureOptionsSchema, values) as Sampler & { seed?: number };
  const bench: Bench = {
    star,
    world,
    checker: new Checker(world.atlas, profile),
    size: (await chosenDiffusion(star, sampler))?.settings.resolution ?? codedSize(star),
    seed: given ?? 0,
    values,
    sampler,
    options: { ...sampler, signal: interrupt.signal },
    source: {
      name: modelOf(values),
      // What the task takes where nothing is given: a report names every setting.
      sampler: {
        ...samplingDefaults(star.model.folder.star.sampling, name === 'emoji-imgedit' ? 'edit' : 'generate'),
        ...sampler,
      },
    },
    follow: (done, total, picture) => {
      if (picture && pictures.length < sheetLimit) pictures.push(picture);
      tell(`${name}: ${done} of ${total}`, done === total);
    },
  };
  const report = await evaluations[name]!(bench);
  if (values.sheet !== undefined && pictures.length > 0) await saveImage(values.sheet, judgedSheet(pictures));
  if (values.json) printJson(report);
  else process.stdout.write(printable(formatReport(report), process.stdout));
}

/** Pixels a side of the pictures that codes stand for. */
function codedSize({ model }: Star): number {
  return model.folder.star.pixelEncoder.imageSize;
}

/** The diffusion decoder where it is asked for, and what it is asked for. */
function chosenDiffusion({ model }: Star, sampler: Sampler) {
  return chooseDiffusion(model, 'generate', parseOptions(pictureOptionsSchema, sampler, 'evaluate'));
}

/** One line that is written over; on no terminal a line now and then. */
let told = 0;
export function tell(text: string, last: boolean): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${text}${last ? '\n' : ''}`);
  else if (last || performance.now() - told > 30_000) {
    told = performance.now();
    process.stderr.write(`${text}\n`);
  }
}

async function geneval(bench: Bench): Promise<Report> {
  const { report } = await evaluateGeneval({
    ...bench,
    ...(await askedPrompts(bench)),
    imagesPerPrompt: bench.values.images,
    generator: batchGenerator(bench, bench.values.images),
    validation: await validationOf(bench),
    onPicture: bench.follow,
  });
  return report;
}

/** GenEval's single objects, told by what is known of them: what a model cannot draw unless it thinks first. */
async function knowledge(bench: Bench): Promise<Report> {
  const { values, world, seed } = bench;
  const { limit, split, images } = values;
  if (values.prompts !== undefined)
    throw new UsageError('option_invalid', 'option --prompts: emoji-knowledge has its own prompts', {});
  const { report } = await evaluateGeneval({
    ...bench,
    name: 'emoji-knowledge',
    prompts: knowledgePrompts(world.profile, { seed, limit, split }),
    notes: [
      `Facts: ${{ seen: 'that training told', 'held-out': 'that training never told', any: 'of both kinds' }[split]}.`,
    ],
    imagesPerPrompt: images,
    generator: batchGenerator(bench, images),
    validation: await validationOf(bench),
    onPicture: bench.follow,
  });
  return report;
}

/** The file's prompts that the world can show, or own ones, and a note of which they are. */
async function askedPrompts({ values, world, seed }: Bench) {
  const { profile } = world;
  if (values.prompts === undefined) {
    const prompts = generatePrompts(profile, { seed, perTag: values.limit, split: values.split });
    return { prompts, notes: [`Own prompts in GenEval's grammar, combinations: ${values.split}.`] };
  }
  const all = await readGenevalPrompts(values.prompts);
  const shown = all.filter((prompt) => isExpressible(prompt, profile));
  const prompts = tags.flatMap((tag) => shown.filter((prompt) => prompt.tag === tag).slice(0, values.limit));
  return {
    prompts,
    notes: [`${prompts.length} of the file's ${all.length} prompts; the world can show ${shown.length}.`],
  };
}

/** Draws all pictures of a prompt at once: image i of a batch is the one that seed + i draws alone. */
function batchGenerator({ star, options, seed: first }: Bench, count: number): Generator {
  let batch: { prompt: string; images: readonly RgbImage[] } | undefined;
  return async (prompt, seed) => {
    if (batch?.prompt !== prompt) {
      const { images } = await star.generate(prompt, { ...options, seed: first, count });
      batch = { prompt, images };
    }
    return batch.images[seed - first]!;
  };
}

/** Nothing where the user asked for none. */
async function validationOf(bench: Bench): Promise<Table | undefined> {
  const { values, world, checker, size, seed } = bench;
  if (values.validation === 0) return undefined;
  tell('trying the checker', true);
  // Other prompts than those that are scored, so that the table is no statement about them.
  const prompts = generatePrompts(world.profile, { seed: seed + 1000, perTag: values.validation, split: 'any' });
  const tokenized = { name: 'tokenizer', apply: async (image: RgbImage) => (await reconstruct(bench, image)).image };
  const degradations = [noDegradation, blurAndNoiseDegradation, tokenized];
  return validationTable(await validateChecker({ checker, world, prompts, size, seed: seed + 1000, degradations }));
}

/** Through codes and the VQ decoder, in the size of the picture. */
async function reconstruct({ star, size }: Bench, image: RgbImage) {
  const codes = await encodeCodes(star.model, image);
  const [decoded] = toImages(await decodeCodes(star.model, [codes]));
  return { image: resizeImage(decoded!, size, size, 'bicubic'), codes };
}

async function imgedit(bench: Bench): Promise<Report> {
  const { star, world, size, seed, values, options } = bench;
  const { report } = await evaluateImgEdit({
    ...bench,
    items: sampleEditItems(world, { size, seed, perType: values.limit }),
    editor: async (source, instruction, each) => {
      const { images } = await star.edit(source, instruction, { ...options, seed: each });
      return images[0]!;
    },
    reconstruct: async (image) => (await reconstruct(bench, image)).image,
    validation: await validationOf(bench),
    onPicture: bench.follow,
  });
  return report;
}

/** Answers are short, and greedy ones can be had again. */
const answering = { temperature: 0, maxNewTokens: 32 };

async function understanding(bench: Bench): Promise<Report> {
  const { star, values } = bench;
  const { signal } = bench.options as { signal: AbortSignal };
  const { report } = await evaluateUnderstanding({
    ...bench,
    source: { name: bench.source.name, sampler: answering },
    scenes: values.limit,
    answerer: async (image, question, seed) => {
      const options = { ...answering, seed, signal };
      const { answer } = image
        ? await star.understand(image, question, options)
        : await star.chat([{ role: 'user', content: question }], options);
      return answer;
    },
    onAnswer: bench.follow,
  });
  return report;
}

/** What the base thinks, warm as pictures are thought of; as many pictures as prompts are asked about. */
async function plans(bench: Bench): Promise<Report> {
  const { star, world, seed, values } = bench;
  const { signal } = bench.options as { signal: AbortSignal };
  const { prompts, notes } = await askedPrompts(bench);
  const chosen = parsePictureOptions(bench.sampler, 'generate', star.model.folder.star.sampling);
  const thinking = { temperature: chosen.reasoningTemperature, maxNewTokens: chosen.reasoningMaxTokens };
  const { report } = await evaluatePlans({
    ...bench,
    source: { name: bench.source.name, sampler: thinking },
    prompts,
    notes,
    plansPerPrompt: values.images,
    edits: sampleEditItems(world, { size: bench.size, seed, perType: values.limit }),
    request: planRequests[0],
    pictures: prompts.length,
    grid: star.model.folder.star.pixelEncoder.gridSize,
    thinker: async (image, text, each) => {
      const options = { ...thinking, seed: each, signal };
      const { answer } = image
        ? await star.understand(image, text, options)
        : await star.chat([{ role: 'user', content: text }], options);
      return answer;
    },
    onPlan: bench.follow,
  });
  return report;
}

async function tokenizer(bench: Bench): Promise<Report> {
  const { report } = await evaluateTokenizer({
    ...bench,
    source: { name: bench.source.name, sampler: {} },
    reconstruct: (image) => reconstruct(bench, image),
    codebookSize: bench.star.model.folder.star.pixelEncoder.codebookSize,
    scenes: bench.values.limit,
    onPicture: bench.follow,
  });
  return report;
}

async function decoder(bench: Bench): Promise<Report> {
  const { star, world, seed, sampler, values } = bench;
  const { signal } = bench.options as { signal: AbortSignal };
  const { model } = star;
  const options = parsePictureOptions({ ...sampler, decoder: 'diffusion' }, 'generate');
  const chosen = (await chooseDiffusion(model, 'generate', options))!;
  const { resolution } = chosen.settings;
  const { report } = await evaluateDecoder({
    ...bench,
    source: { name: bench.source.name, sampler: shownSettings(diffusionSettings(chosen)) },
    size: codedSize(star),
    resolution,
    seed,
    scenes: values.limit,
    decoders: {
      encode: (image) => encodeCodes(model, image),
      redraw: async (codes) => toImages(await decodeCodes(model, [codes]))[0]!,
      diffuse: async (codes, text, each) => {
        const drawing = drawDiffusion(model, { ...chosen, text }, [codes], each, { ...options, signal });
        return (await drain(drawing)).pictures![0]!;
      },
      edit: async (decoder, source, instruction, each) => {
        // The VQ decoder refuses what the diffusion decoder alone takes.
        const given = Object.entries(bench.options).filter(
          ([name]) => decoder === 'diffusion' || !(diffusionOptionNames as readonly string[]).includes(name),
        );
        const { images } = await star.edit(source, instruction, { ...Object.fromEntries(given), decoder, seed: each });
        return images[0]!;
      },
    },
    edits: sampleEditItems(world, { size: resolution, seed, perType: Math.ceil(values.limit / 10) }),
    onPicture: bench.follow,
  });
  return report;
}

function shownSettings(settings: ReturnType<typeof diffusionSettings>): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, typeof value === 'object' ? value.join(' to ') : value]),
  );
}
