/** `starstack train RECIPE --stage NAME` */
import { Command, Option } from 'commander';
import { readRecipe } from '../training/recipe.ts';
import { type StageName, stageNamesInOrder, trainingRecipeSchema } from '../training/stages/recipe.ts';
import { runStage } from '../training/stages/run-stage.ts';
import type { TrainingResult } from '../training/training-events.ts';
import { exitCodes } from './failure.ts';
import { Interrupt } from './interrupt.ts';
import { addRuntimeOptions, type CommonValues } from './options.ts';
import { printJson } from './output.ts';
import { TrainingProgress } from './train-progress.ts';

interface TrainValues extends CommonValues {
  readonly stage: StageName;
  readonly out: string;
  readonly resume?: boolean;
  readonly allowChanges?: boolean;
}

export function trainCommand(): Command {
  const command = new Command('train')
    .summary('train a stage of a recipe')
    .description(
      'Trains one stage of a recipe and puts its weights into the model. Ctrl-C saves and stops; --resume goes on.',
    )
    .argument('<recipe>', 'a recipe, a YAML file')
    .addOption(new Option('--stage <name>', 'The stage.').choices(stageNamesInOrder).makeOptionMandatory())
    .requiredOption('--out <dir>', 'Folder of the training: the model, and a folder for each stage.')
    .option('--resume', 'Go on from the newest sound checkpoint. Default: begin, and refuse a folder that has one.')
    .option('--allow-changes', 'Go on though the recipe has changed. Default: refuse, and say what differs.');
  return addRuntimeOptions(command).action(trainStage);
}

async function trainStage(file: string, values: TrainValues): Promise<void> {
  const recipe = await readRecipe(file, trainingRecipeSchema);
  using interrupt = new Interrupt('Ctrl-C: saving; again to quit at once');
  const progress = new TrainingProgress(values.stage);
  const events = runStage(recipe, values.stage, {
    folder: values.out,
    resume: values.resume,
    allowChanges: values.allowChanges,
    threads: values.threads,
    device: values.device,
    signal: interrupt.signal,
  });
  let result: TrainingResult;
  try {
    while (true) {
      const next = await events.next();
      if (next.done) {
        result = next.value;
        break;
      }
      progress.tell(next.value);
    }
  } finally {
    progress.stop();
  }
  if (values.json) printJson({ stage: values.stage, ...result });
  else process.stdout.write(`${result.stopped === 'finished' ? 'finished' : 'stopped'} at step ${result.step}\n`);
  if (result.stopped === 'aborted') process.exitCode = exitCodes.interrupted;
}
