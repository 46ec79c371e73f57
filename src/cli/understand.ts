/** `starstack understand IMAGE QUESTION` */

import { Command } from 'commander';
import type { TaskWarning, TextAnswer } from '../tasks/events.ts';
import { type UnderstandOptions, understandOptionsSchema } from '../tasks/options.ts';
import { follow } from '../tasks/task.ts';
import { exitCodes } from './failure.ts';
import { Interrupt } from './interrupt.ts';
import {
  addModelOption,
  addRuntimeOptions,
  addTaskOptions,
  type CommonValues,
  givenOptions,
  loadStar,
} from './options.ts';
import { printJson, printWarnings } from './output.ts';
import { printable } from './printable.ts';
import { readTextArgument } from './text-argument.ts';

const fallback = "the folder's generation_config.json";

export function understandCommand(): Command {
  const command = new Command('understand')
    .summary('answer a question about a picture')
    .description('Answers a question about a picture. The answer is printed as it is made.')
    .argument('<image>', 'a JPEG, PNG or WebP file')
    .argument('<question>', 'what to ask; - for standard input');
  addTaskOptions(addModelOption(command), understandOptionsSchema, [
    { flags: '--seed <n>', number: true },
    { flags: '--max-new-tokens <n>', number: true },
    { flags: '--top-k <k>', number: true, fallback },
    { flags: '--top-p <p>', number: true, fallback },
    { flags: '--temperature <t>', number: true, fallback },
    { flags: '--repetition-penalty <x>', number: true, fallback },
    { flags: '--stop <text...>' },
  ]);
  return addRuntimeOptions(command).action(understand);
}

async function understand(image: string, question: string, values: CommonValues): Promise<void> {
  const text = await readTextArgument(question);
  await using star = await loadStar(values);
  using interrupt = new Interrupt('Stopping; Ctrl-C again quits at once.');
  const options = {
    ...givenOptions(understandOptionsSchema, values),
    signal: interrupt.signal,
    onAbort: 'keep',
  } as UnderstandOptions;
  const events = star.understand.stream(image, text, options);
  let printed = '';
  const result = await follow(events, (event) => {
    if (values.json || event.type !== 'token-delta') return;
    process.stdout.write(printable(event.text, process.stdout));
    printed += event.text;
  });
  const warnings = [...result.warnings, ...cutWarnings(result)];
  if (result.finishReason === 'aborted') process.exitCode = exitCodes.interrupted;
  if (values.json) {
    const { answer, tokenIds, timings, device } = result;
    printJson({ answer, tokenIds, warnings, timings, device });
    return;
  }
  // The last bytes of a character that was cut off come with the end.
  process.stdout.write(`${printable(result.answer.slice(printed.length), process.stdout)}\n`);
  printWarnings('understand', warnings);
}

function cutWarnings({ finishReason, tokenIds }: TextAnswer): TaskWarning[] {
  const tokens = tokenIds.length;
  if (finishReason === 'length') {
    const message = `the answer was cut off at ${tokens} tokens; --max-new-tokens allows more`;
    return [{ code: 'answer_cut', message }];
  }
  if (finishReason === 'aborted') return [{ code: 'answer_partial', message: `stopped after ${tokens} tokens` }];
  return [];
}
