/** What `generate` and `edit` share: options, progress, saving and printing of pictures. */
import { type Command, Option } from 'commander';
import type { z } from 'zod';
import { saveImage } from '../image/save.ts';
import type { PictureEvent, PictureResult, TaskWarning } from '../tasks/events.ts';
import type { Star } from '../tasks/star.ts';
import { exitCodes } from './failure.ts';
import { addTaskOptions, type CommonValues } from './options.ts';
import { printJson, printWarnings } from './output.ts';
import { pictureNames, requireWritable, savePictures, savePicturesAnew } from './picture-files.ts';
import { printable } from './printable.ts';
import { PictureProgress } from './progress.ts';

/** Values of the options that `addPictureOptions` adds; those of the schema are further keys. */
export interface PictureValues extends CommonValues {
  readonly output?: string;
  /** File of the preview. */
  readonly preview?: string;
  readonly progress?: boolean;
}

export const interruptNote =
  'Stopping after this row or step; what is drawn will be saved. Ctrl-C again quits at once.';

/** How codes and thoughts are drawn. */
export const samplingFlags = [
  { flags: '--guidance <w>', number: true },
  { flags: '--top-k <k>', number: true },
  { flags: '--top-p <p>', number: true },
  { flags: '--temperature <t>', number: true },
  { flags: '--reasoning' },
  { flags: '--reasoning-temperature <t>', number: true },
  { flags: '--reasoning-max-tokens <n>', number: true },
  { flags: '--repetition-penalty <x>', number: true },
] as const;

export function noReasoning(): Option {
  return new Option('--no-reasoning', 'Draw the text itself. Default: as --from or the model says.');
}

export function addPictureOptions(command: Command, schema: z.ZodObject, defaultName: string): Command {
  addTaskOptions(command, schema, [
    { flags: '--seed <n>', number: true },
    { flags: '--count <n>', number: true },
    ...samplingFlags,
    { flags: '--decoder <name>' },
    { flags: '--steps <n>', number: true },
    { flags: '--resolution <pixels>', number: true },
    { flags: '--diffusion-guidance <w>', number: true },
    { flags: '--image-guidance <w>', number: true },
    { flags: '--guidance-window <from,to>', numbers: true },
    { flags: '--image-guidance-window <from,to>', numbers: true },
  ]);
  return command
    .addOption(noReasoning())
    .option(
      '-o, --output <file>',
      `Where to save: .png, .jpg or .webp; replaced. Default: ${defaultName}, a free name.`,
    )
    .option('--preview <file>', 'Save a rough picture there after each row. Default: none.')
    .option('--progress', 'A progress bar on a terminal once work takes over a second. Default true.')
    .option('--no-progress', 'No progress bar. Default: a bar.');
}

/** Checks the files that are written at the end, before the work. */
export async function checkPictureFiles(values: PictureValues): Promise<void> {
  await requireWritable('-o', values.output);
  await requireWritable('--preview', values.preview);
}

export interface Drawing {
  readonly command: 'generate' | 'edit';
  readonly star: Star;
  readonly values: PictureValues;
  readonly events: AsyncGenerator<PictureEvent, PictureResult, void>;
  /** Warnings of the command line itself, which come first; further ones may follow from the result. */
  readonly warnings: (result: PictureResult) => readonly TaskWarning[];
}

/** Follows the events of a task, saves the pictures and prints where they are. */
export async function drawAndSave(drawing: Drawing): Promise<void> {
  const { command, values } = drawing;
  const result = await follow(drawing);
  const saved =
    values.output === undefined
      ? await savePicturesAnew(result.images, `${command}-${result.seed}`)
      : await savePictures(result.images, values.output);
  const warnings = [...drawing.warnings(result), ...result.warnings, ...saved.warnings];
  if (result.finishReason === 'aborted') process.exitCode = exitCodes.interrupted;
  if (values.json) {
    printJson({
      seed: result.seed,
      tokens: result.images.map((image) => image.tokens),
      images: saved.paths,
      ...(result.thought === undefined ? {} : { thoughts: result.images.map(({ recipe }) => recipe.thought) }),
      warnings,
      timings: result.timings,
      device: result.device,
    });
    return;
  }
  printWarnings(command, warnings);
  for (const path of saved.paths) process.stdout.write(`${printable(path, process.stdout)}\n`);
}

async function follow({ star, values, events }: Drawing): Promise<PictureResult> {
  const rows = star.model.folder.star.pixelEncoder.gridSize;
  using progress = new PictureProgress(values.progress ?? true);
  let count = 1;
  let thinking = false;
  while (true) {
    const step = await events.next();
    if (step.done) return step.value;
    const event = step.value;
    if (event.type === 'picture-start') {
      count = event.count;
      progress.start(rows);
    } else if (event.type === 'picture-progress') {
      progress.update(event.doneTokens, event.totalTokens, rows, count);
    } else if (event.type === 'diffusion-progress') {
      progress.denoise(event.doneSteps, event.totalSteps);
    } else if (event.type === 'preview-available') {
      const names = pictureNames(values.preview!, event.previews.length);
      for (const [index, preview] of event.previews.entries()) await saveImage(names[index]!, preview);
    } else if (event.type === 'reasoning-delta' && !values.json) {
      process.stderr.write(`${thinking ? '' : 'thought: '}${printable(event.text, process.stderr)}`);
      thinking = true;
    } else if (event.type === 'reasoning-end' && thinking) {
      process.stderr.write('\n');
      thinking = false;
    }
  }
}
