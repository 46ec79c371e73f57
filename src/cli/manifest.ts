/** `starstack manifest DIR`: makes a model folder ready for browsers. */
import { Command } from 'commander';
import { manifestName } from '../models/model-manifest.ts';
import { openModelFolder } from '../models/star/folder.ts';
import { writeManifest } from '../models/write-manifest.ts';
import { addReportOptions, type CommonValues } from './options.ts';
import { formatBytes, printJson } from './output.ts';

export function manifestCommand(): Command {
  const command = new Command('manifest')
    .summary('list the files of a model folder in it, for browsers')
    .description('Lists the files of a model folder in it, so that a browser can load it from any web server.')
    .argument('<dir>', 'a model folder');
  return addReportOptions(command).action(manifest);
}

async function manifest(folder: string, { json }: CommonValues): Promise<void> {
  // Nothing is written into a folder that is no model.
  await openModelFolder(folder);
  const { version, files } = await writeManifest(folder);
  if (json) {
    printJson({ version, files });
    return;
  }
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  process.stdout.write(`${manifestName}: ${files.length} files, ${formatBytes(bytes)}\n`);
}
