/** Trains the small task in a process of its own, to be killed: `train-child.ts FOLDER`. Prints a line for each event. */
import { writeSync } from 'node:fs';
import { Runtime } from '../../src/runtime/index.ts';
import { train } from '../../src/training/trainer.ts';
import { killedSettings, smallTask } from './small-task.ts';

await using runtime = await Runtime.create({ device: 'cpu', threads: 1 });
const folder = process.argv[2]!;
for await (const event of train(smallTask(), killedSettings, { folder, resume: true, runtime })) {
  // At once: what a buffer holds dies with the process.
  writeSync(1, `${JSON.stringify(event)}\n`);
}
