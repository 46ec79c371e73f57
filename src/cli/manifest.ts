/** `starstack manifest`: makes a model folder ready for browsers. */
import { Command } from 'commander';
import { manifestName } from '../models/model-manifest.ts';
import { writeManifest } from '../models/write-manifest.ts';

export function manifestCommand(): Command {
  return new Command('manifest')
    .description('List the files of a model folder in it, so that a browser can load it from any web server.')
    .argument('<model-folder>', 'a model folder in the published layout')
    .option('--json', 'print the list as JSON', false)
    .action(async (folder: string, { json }: { readonly json: boolean }) => {
      const manifest = await writeManifest(folder);
      const bytes = manifest.files.reduce((sum, { size }) => sum + size, 0);
      const said = `${manifestName}: ${manifest.files.length} files, ${(bytes / 1e6).toFixed(1)} MB`;
      process.stdout.write(`${json ? JSON.stringify(manifest) : said}\n`);
    });
}
