/** `starstack generate PROMPT` */
import { Command } from 'commander';
import type { PictureResult, TaskWarning } from '../tasks/events.ts';
import { fingerprintOf } from '../tasks/fingerprint.ts';
import { type GenerateOptions, pictureOptionsSchema } from '../tasks/options.ts';
import { addPictureOptions, checkPictureFiles, drawAndSave, interruptNote, type PictureValues } from './draw.ts';
import { UsageError } from './failure.ts';
import { Interrupt } from './interrupt.ts';
import { addModelOption, addRuntimeOptions, givenOptions, loadStar } from './options.ts';
import { readSavedRecipe, settingsOf } from './saved-recipe.ts';
import { readTextArgument } from './text-argument.ts';

interface GenerateValues extends PictureValues {
  readonly from?: string;
}

export function generateCommand(): Command {
  const command = new Command('generate')
    .summary('draw a picture from a text')
    .description('Draws a picture from a text and saves it, with its recipe inside when it is a PNG.')
    .argument('[prompt]', 'what the picture shall show; - for standard input; may be left out with --from');
  addModelOption(command).option('--from <file>', 'Repeat a PNG saved by generate; other options win. Default: none.');
  addPictureOptions(command, pictureOptionsSchema, 'generate-SEED.png');
  return addRuntimeOptions(command).action(generate);
}

async function generate(prompt: string | undefined, values: GenerateValues): Promise<void> {
  await checkPictureFiles(values);
  const recipe = values.from === undefined ? undefined : await readSavedRecipe(values.from);
  const text = prompt === undefined ? recipe?.prompt : await readTextArgument(prompt);
  if (text === undefined) {
    throw new UsageError(
      'prompt_missing',
      'no prompt: say what the picture shall show, or repeat a picture with --from',
    );
  }
  await using star = await loadStar(values);
  const warnings: TaskWarning[] = [];
  const given = givenOptions(pictureOptionsSchema, values);
  const saved = recipe === undefined ? { options: {}, unknown: [] } : settingsOf(recipe, given.decoder);
  if (recipe) {
    const here = await fingerprintOf(star.model.folder);
    if (here !== recipe.fingerprint) {
      const message = `${values.from} was drawn by another model (${recipe.model}, ${recipe.fingerprint}; here ${here}): the picture will differ`;
      warnings.push({ code: 'model_differs', message });
    }
    if (saved.unknown.length > 0) {
      const message = `${values.from} has settings that are not known here and are left out: ${saved.unknown.join(', ')}`;
      warnings.push({ code: 'recipe_settings_unknown', message });
    }
  }
  using interrupt = new Interrupt(interruptNote);
  const options = {
    ...saved.options,
    ...given,
    preview: values.preview === undefined ? 'none' : 'linear',
    signal: interrupt.signal,
    onAbort: 'keep',
  } as GenerateOptions;
  // A recipe does not hold every option of the thought; a repetition that thinks otherwise is told.
  const thoughtDiffers = (result: PictureResult) =>
    recipe?.thought !== undefined && result.thought !== undefined && result.thought !== recipe.thought;
  await drawAndSave({
    command: 'generate',
    star,
    values,
    events: star.generate.stream(text, options),
    warnings: (result) =>
      thoughtDiffers(result)
        ? [...warnings, { code: 'thought_differs', message: `the thought is not the one in ${values.from}` }]
        : warnings,
  });
}
