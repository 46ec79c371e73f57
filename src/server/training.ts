/** The logs and preview sheets of a training over HTTP, while it runs: what the studio's training view shows. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { TaskError } from '../tasks/error.ts';
import { metricsFile, previewFolder, previewStep } from '../training/step-names.ts';

/** A stage of the training as `/training` lists it. */
interface ListedStage {
  readonly stage: string;
  /** Address of its `metrics.jsonl`; a range of bytes can be asked for. */
  readonly log: string;
  /** When the log was written last, in ISO 8601. */
  readonly modified: string;
  /** Preview sheets by rising step. */
  readonly previews: readonly { readonly step: number; readonly picture: string }[];
}

const stageName = /^[a-z]+$/;

/** What of the folder is given away: logs and preview sheets, nothing of weights or checkpoints. */
function isGivenAway(address: string): boolean {
  const [, stage, first, second, ...more] = address.split('/');
  if (!stageName.test(stage ?? '') || more.length > 0) return false;
  if (second === undefined) return first === metricsFile;
  return first === previewFolder && previewStep(second) !== undefined;
}

/** @param folder of `starstack train --out`, or undefined for none; it may be empty yet. */
export function addTraining(app: FastifyInstance, folder: string | undefined): void {
  app.get('/training', async () => ({ object: 'list', data: folder === undefined ? [] : await stagesIn(folder) }));
  if (folder === undefined) return;
  void app.register(fastifyStatic, {
    root: path.resolve(folder),
    prefix: '/training/',
    decorateReply: false,
    index: false,
    allowedPath: isGivenAway,
    maxAge: 0,
    setHeaders: (reply) => reply.setHeader('x-content-type-options', 'nosniff'),
  });
}

/**
 * A folder that is not there yet is taken: the training may begin later.
 * @throws TaskError `option_invalid` for what is there and is none, or cannot be looked at
 */
export async function requireFolder(training: string | undefined): Promise<void> {
  if (training === undefined) return;
  const found = await stat(training).then(
    (entry) => (entry.isDirectory() ? undefined : 'a file'),
    (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : String(error.code)),
  );
  if (found === undefined) return;
  const message = `serve: option training: expected a folder, as --out of starstack train, got ${found}: ${training}`;
  throw new TaskError('option_invalid', message, { option: 'training' });
}

/** Stages that have a log, the one written last first. */
async function stagesIn(folder: string): Promise<ListedStage[]> {
  const found: ListedStage[] = [];
  for (const stage of (await namesIn(folder)).filter((name) => stageName.test(name))) {
    const log = await stat(path.join(folder, stage, metricsFile)).catch(() => undefined);
    if (!log?.isFile()) continue;
    const sheets = await namesIn(path.join(folder, stage, previewFolder));
    found.push({
      stage,
      log: `/training/${stage}/${metricsFile}`,
      modified: log.mtime.toISOString(),
      previews: sheets
        .flatMap((name) => {
          const step = previewStep(name);
          return step === undefined ? [] : [{ step, picture: `/training/${stage}/${previewFolder}/${name}` }];
        })
        .sort((a, b) => a.step - b.step),
    });
  }
  return found.sort((a, b) => b.modified.localeCompare(a.modified));
}

/** What a folder that is not there holds is nothing: a training may begin after the server. */
async function namesIn(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
}
