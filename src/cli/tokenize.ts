/** `starstack tokenize RECIPE --stage NAME --out DIR` */

import { SingleBar } from 'cli-progress';
import { Command, Option } from 'commander';
import { follow } from '../tasks/task.ts';
import { readRecipe } from '../training/recipe.ts';
import { trainingRecipeSchema } from '../training/stages/recipe.ts';
import { type CodedStage, codedStages, type TokenizeEvent, tokenizeStage } from '../training/stages/tokenize-data.ts';
import { exitCodes } from './failure.ts';
import { Interrupt } from './interrupt.ts';
import { addRuntimeOptions, type CommonValues } from './options.ts';
import { formatCount, printJson } from './output.ts';
import { printable } from './printable.ts';
import { formatSeconds } from './progress.ts';

interface TokenizeValues extends CommonValues {
  readonly stage: CodedStage;
  readonly out: string;
  readonly resume?: boolean;
}

export function tokenizeCommand(): Command {
  const command = new Command('tokenize')
    .summary("code a stage's pictures once, for all epochs")
    .description(
      "Writes the pictures of a stage's data down as codes of the model's tokenizer, with their captions; of edits " +
        'also the picture before. The stage learns from such a set where its data has kind tokens. Ctrl-C saves and ' +
        'stops; --resume goes on.',
    )
    .argument('<recipe>', 'a recipe, a YAML file')
    .addOption(
      new Option('--stage <name>', 'The stage whose data is coded.').choices(codedStages).makeOptionMandatory(),
    )
    .requiredOption('--out <dir>', 'Folder of the sets: data/train, data/heldOut, editData/train, editData/heldOut.')
    .option(
      '--model <dir>',
      "The folder of the model whose tokenizer is taken. Default: the recipe's, if it names one.",
    )
    .option(
      '--resume',
      'Go on with sets that were not finished. Default: begin, and refuse folders that hold something.',
    );
  return addRuntimeOptions(command).action(tokenize);
}

async function tokenize(file: string, values: TokenizeValues): Promise<void> {
  const recipe = await readRecipe(file, trainingRecipeSchema);
  using interrupt = new Interrupt('Ctrl-C: saving; again to quit at once');
  using progress = new TokenizeProgress();
  const events = tokenizeStage(recipe, values.stage, {
    folder: values.out,
    model: values.model,
    resume: values.resume,
    threads: values.threads,
    device: values.device,
    signal: interrupt.signal,
  });
  const result = await follow(events, (event) => progress.tell(event));
  progress[Symbol.dispose]();
  if (values.json) printJson(result);
  else {
    for (const { field, folder, samples, skipped } of result.sets) {
      const left = skipped > 0 ? `, ${formatCount(skipped)} skipped` : '';
      process.stdout.write(printable(`${field}: ${formatCount(samples)} samples${left}: ${folder}\n`, process.stdout));
    }
    if (result.stopped === 'aborted') process.stdout.write('stopped; --resume goes on\n');
  }
  if (result.stopped === 'aborted') process.exitCode = exitCodes.interrupted;
}

/** Where lines are plain: milliseconds between those that only say how far it is. */
const lineInterval = 10_000;

/** A bar on a terminal, plain lines elsewhere. On standard error. */
class TokenizeProgress implements Disposable {
  #bar: SingleBar | undefined;
  #set: Extract<TokenizeEvent, { type: 'set-started' }> | undefined;
  #began = 0;
  #lastLine = -Infinity;

  tell(event: TokenizeEvent): void {
    switch (event.type) {
      case 'set-started':
        this.#set = event;
        this.#began = performance.now();
        for (const warning of event.warnings) this.#write(`warning: ${warning}`);
        if (event.samples > 0) this.#write(`${event.field}: goes on after ${formatCount(event.samples)} samples`);
        // Where nobody knows how many there are, a bar has no end to run to.
        if (process.stderr.isTTY && event.total !== undefined) this.#start(event.total, event.samples);
        return;
      case 'samples-coded':
        this.#coded(event.samples);
        return;
      case 'sample-skipped':
        this.#write(`warning: ${event.field}: skipped ${event.skipped.source}: ${event.skipped.reason}`);
        return;
      case 'set-finished':
        this[Symbol.dispose]();
        return;
    }
  }

  #start(total: number, samples: number): void {
    this.#bar = new SingleBar({
      format: '{field}: {value}/{total} {bar} {note}',
      barsize: 24,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
    });
    this.#bar.start(total, samples, { field: this.#set!.field, note: '' });
  }

  #coded(samples: number): void {
    const { field, total, samples: before } = this.#set!;
    const now = performance.now();
    const speed = (samples - before) / ((now - this.#began) / 1000);
    const left = total === undefined || speed === 0 ? '' : ` | ETA ${formatSeconds((total - samples) / speed)}`;
    const note = `${Number(speed.toPrecision(3))} samples/s${left}`;
    this.#bar?.update(samples, { note });
    if (this.#bar || now - this.#lastLine < lineInterval) return;
    this.#lastLine = now;
    const of = total === undefined ? '' : ` of ${formatCount(total)}`;
    this.#write(`${field}: ${formatCount(samples)}${of} samples | ${note}`);
  }

  #write(line: string): void {
    // A bar on the terminal's line would stay in front of the text; the next update draws it anew.
    if (this.#bar?.isActive) process.stderr.write('\r\u001b[K');
    process.stderr.write(`${printable(line, process.stderr)}\n`);
  }

  /** Takes the bar away. */
  [Symbol.dispose](): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}
