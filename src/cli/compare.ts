/** `starstack compare BEFORE AFTER` */
import { Command } from 'commander';
import { World } from '../data/world/world.ts';
import {
  type ComparedAnswers,
  type ComparedPart,
  compareAnswers,
  compareParameters,
} from '../evaluation/preserved/compare-models.ts';
import { alignColumns } from '../evaluation/report.ts';
import { StarModel } from '../tasks/star-model.ts';
import { countFromZero, tell, worldOption, worlds } from './evaluate.ts';
import { addRuntimeOptions, type CommonValues } from './options.ts';
import { printJson } from './output.ts';
import { printable } from './printable.ts';

interface CompareValues extends CommonValues {
  readonly questions: number;
  readonly world: keyof typeof worlds;
  readonly seed: number;
}

export function compareCommand(): Command {
  const command = new Command('compare')
    .summary('tell what training changed in a model, bit by bit')
    .description(
      'Compares two model folders: which parts are equal in every bit, and whether questions about pictures are answered ' +
        'with equal logits. What is trained on top of a frozen model must leave both as they were.',
    )
    .argument('<before>', 'a model folder, or nano')
    .argument('<after>', 'another one of the same sizes')
    .option(
      '--questions <n>',
      'Questions that both answer; 0 compares parameters alone. Default 200.',
      countFromZero,
      200,
    )
    .option('--seed <n>', 'Of the questions. Default 0.', countFromZero, 0)
    .addOption(worldOption());
  return addRuntimeOptions(command).action(compare);
}

async function compare(before: string, after: string, values: CompareValues): Promise<void> {
  const { device, threads, questions, seed } = values;
  await using old = await StarModel.open(before, { device, threads, trace: true });
  await using now = await StarModel.open(after, { device, threads, trace: true });
  const parts = await compareParameters(old, now);
  const answers =
    questions === 0
      ? undefined
      : await compareAnswers(old, now, {
          world: await World.open(worlds[values.world]),
          questions,
          seed,
          onQuestion: (done, total) => tell(`questions: ${done} of ${total}`, done === total),
        });
  if (values.json) printJson({ parts, ...(answers ? { answers } : {}) });
  else process.stdout.write(printable(formatComparison(parts, answers), process.stdout));
}

function formatComparison(parts: readonly ComparedPart[], answers: ComparedAnswers | undefined): string {
  const rows = parts.map(({ part, equal, changed, lost, added }) =>
    [part, equal, changed.length, lost.length, added.length].map(String),
  );
  const table = alignColumns([['part', 'equal', 'changed', 'lost', 'added'], ...rows], [1, 2, 3, 4]);
  if (!answers) return `Tensors\n${table}`;
  const different = answers.different.map((question) => `  not: ${question}\n`).join('');
  return `Tensors\n${table}\nAnswers: ${answers.equal} of ${answers.asked} with logits equal in every bit\n${different}`;
}
