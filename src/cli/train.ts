/** `starstack train RECIPE --stage NAME` */

import { Command, Option } from 'commander';
import { alignColumns } from '../evaluation/report.ts';
import { follow } from '../tasks/task.ts';
import { parseChange, type RecipeChange, readRecipe } from '../training/recipe.ts';
import { planStage, type StagePlan } from '../training/stages/plan.ts';
import { type StageName, stageNamesInOrder, trainingRecipeSchema } from '../training/stages/recipe.ts';
import { runStage } from '../training/stages/run-stage.ts';
import { exitCodes } from './failure.ts';
import { Interrupt } from './interrupt.ts';
import { addRuntimeOptions, type CommonValues } from './options.ts';
import { formatBytes, formatCount, printJson } from './output.ts';
import { TrainingProgress } from './train-progress.ts';

interface TrainValues extends CommonValues {
  readonly stage: StageName;
  readonly out: string;
  readonly set?: readonly RecipeChange[];
  readonly resume?: boolean;
  readonly allowChanges?: boolean;
  readonly dryRun?: boolean;
}

export function trainCommand(): Command {
  const command = new Command('train')
    .summary('train a stage of a recipe')
    .description(
      'Trains one stage of a recipe and puts its weights into the model. Ctrl-C saves and stops; --resume goes on.',
    )
    .argument('<recipe>', 'a recipe, a YAML file')
    .addOption(new Option('--stage <name>', 'The stage.').choices(stageNamesInOrder).makeOptionMandatory())
    .option('--out <dir>', 'Folder of the training: the model, and a folder for each stage. Default: out.', 'out')
    .option('--model <dir>', 'A model folder, in place of the model that the recipe makes or names.')
    .addOption(
      new Option(
        '--set <key=value>',
        'A value in place of the recipe’s, as stages.generation.steps=2000; repeatable. Default: the recipe as it is.',
      ).argParser((text: string, before: readonly RecipeChange[] = []) => [...before, parseChange(text)]),
    )
    .option('--dry-run', 'Print parameters, memory and steps, and train nothing. Default: train.')
    .option('--resume', 'Go on from the newest sound checkpoint. Default: begin, and refuse a folder that has one.')
    .option('--allow-changes', 'Go on though the recipe has changed. Default: refuse, and say what differs.');
  return addRuntimeOptions(command).action(trainStage);
}

async function trainStage(file: string, values: TrainValues): Promise<void> {
  const recipe = await readRecipe(file, trainingRecipeSchema, values.set);
  if (values.dryRun) {
    const plan = await planStage(recipe, values.stage, values.model);
    if (values.json) printJson(plan);
    else process.stdout.write(formatPlan(plan));
    return;
  }
  using interrupt = new Interrupt('Ctrl-C: saving; again to quit at once');
  const progress = new TrainingProgress(values.stage);
  const events = runStage(recipe, values.stage, {
    folder: values.out,
    model: values.model,
    resume: values.resume,
    allowChanges: values.allowChanges,
    threads: values.threads,
    device: values.device,
    signal: interrupt.signal,
  });
  const result = await follow(events, (event) => progress.tell(event)).finally(() => progress.stop());
  if (values.json) printJson({ stage: values.stage, ...result });
  else process.stdout.write(`${result.stopped === 'finished' ? 'finished' : 'stopped'} at step ${result.step}\n`);
  if (result.stopped === 'aborted') process.exitCode = exitCodes.interrupted;
}

function formatPlan({ stage, parts, steps, samples, memory }: StagePlan): string {
  const rows = parts.map(({ part, parameters, trained }) => [
    part,
    formatCount(parameters),
    trained === 0 ? 'not trained' : trained === parameters ? 'trained' : `${formatCount(trained)} trained`,
  ]);
  const total = Object.values(memory).reduce((a, b) => a + b, 0);
  const bytes = Object.entries(memory).map(([name, size]) => `${name} ${formatBytes(size)}`);
  return [
    `stage ${stage}: ${formatCount(steps)} steps, ${formatCount(samples)} samples`,
    `${alignColumns(rows, [1])}memory without activations: ${formatBytes(total)} (${bytes.join(', ')})`,
    '',
  ].join('\n');
}
