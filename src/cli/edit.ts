/** `starstack edit IMAGE INSTRUCTION` */
import { Command } from 'commander';
import { type EditOptions, pictureOptionsSchema } from '../tasks/options.ts';
import { addPictureOptions, checkPictureFiles, drawAndSave, interruptNote, type PictureValues } from './draw.ts';
import { Interrupt } from './interrupt.ts';
import { addModelOption, addRuntimeOptions, addTaskOptions, givenOptions, loadStar } from './options.ts';
import { readTextArgument } from './text-argument.ts';

export function editCommand(): Command {
  const command = new Command('edit')
    .summary('redraw a picture as an instruction says')
    .description(
      'Redraws a picture as an instruction says and saves the result, with its recipe inside when it is a PNG.',
    )
    .argument('<image>', 'a JPEG, PNG or WebP file')
    .argument('<instruction>', 'what to change; - for standard input');
  addModelOption(command);
  addPictureOptions(command, pictureOptionsSchema, 'edit-SEED.png');
  addTaskOptions(command, pictureOptionsSchema, [{ flags: '--vq-guidance <w>', number: true }]);
  command.option(
    '--mask <file>',
    'A PNG or WebP of the picture’s size, transparent where it may change; all else is pasted back. Default: all may change.',
  );
  return addRuntimeOptions(command).action(edit);
}

interface EditValues extends PictureValues {
  readonly mask?: string;
}

async function edit(image: string, instruction: string, values: EditValues): Promise<void> {
  await checkPictureFiles(values);
  const text = await readTextArgument(instruction);
  await using star = await loadStar(values);
  using interrupt = new Interrupt(interruptNote);
  const options = {
    ...givenOptions(pictureOptionsSchema, values),
    mask: values.mask,
    preview: values.preview === undefined ? 'none' : 'linear',
    signal: interrupt.signal,
    onAbort: 'keep',
  } as EditOptions;
  const events = star.edit.stream(image, text, options);
  await drawAndSave({ command: 'edit', star, values, events, warnings: () => [] });
}
