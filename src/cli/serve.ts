/** `starstack serve` */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { restrictDecoders } from '../image/decode.ts';
import { type ServerOptions, serverOptionsSchema } from '../server/options.ts';
import { UsageError } from './failure.ts';
import { openInBrowser } from './open-in-browser.ts';
import {
  addModelOption,
  addRuntimeOptions,
  addTaskOptions,
  type CommonValues,
  givenOptions,
  loadStar,
} from './options.ts';
import { printJson } from './output.ts';
import { printable } from './printable.ts';

interface ServeValues extends CommonValues {
  readonly apiKeyFile?: string;
  readonly log?: boolean;
  readonly open?: boolean;
  readonly debug?: boolean;
}

export function serveCommand(): Command {
  const command = new Command('serve')
    .summary("answer over HTTP, as OpenAI's API does")
    .description(
      "Serves a model over HTTP with OpenAI's API: /v1/images/generations, /v1/images/edits, /v1/chat/completions.",
    );
  addTaskOptions(addModelOption(command), serverOptionsSchema, [
    { flags: '--host <address>' },
    { flags: '--port <n>', number: true },
    { flags: '--queue <n>', number: true },
    { flags: '--deadline <seconds>', number: true },
    { flags: '--drain <seconds>', number: true },
    { flags: '--heartbeat <seconds>', number: true },
    { flags: '--max-body <MiB>', number: true },
    { flags: '--max-file <MiB>', number: true },
    { flags: '--max-pixels <n>', number: true },
    { flags: '--training <dir>' },
    { flags: '--allow-host <name...>' },
    { flags: '--allow-origin <origin...>' },
    { flags: '--allow-image-origin <origin...>' },
  ])
    .option(
      '--api-key-file <file>',
      'File with the key that clients must send. Default: the environment variable STARSTACK_API_KEY, else no key.',
    )
    .option('--no-studio', 'Leave out the studio, the page at /. Default: it is served.')
    .option('--open', 'Open the studio in the browser, where there is one. Default: print its address alone.')
    .option('--no-log', 'Do not tell of each request on standard error. Default: a line each.');
  return addRuntimeOptions(command).action(serve);
}

/**
 * Only this command needs what HTTP takes to load. In a function of its own: beside `await using` TypeScript 5.9 leaves the
 * ending `.ts` as it is.
 */
const serverModule = () => import('../server/server.ts');

async function serve(values: ServeValues): Promise<void> {
  const { StarServer } = await serverModule();
  restrictDecoders();
  const apiKey = await apiKeyOf(values);
  const options = { ...givenOptions(serverOptionsSchema, values), ...(apiKey === undefined ? {} : { apiKey }) };
  const say = (text: string) => process.stderr.write(`starstack serve: ${printable(text, process.stderr)}\n`);
  const listening = StarServer.listen(options as ServerOptions, () => loadStar(values), {
    ...(values.log === false
      ? {}
      : {
          onRequest: ({ id, method, path, status, seconds }) =>
            say(`${method} ${path} ${status} ${seconds.toFixed(3)} s ${id}`),
        }),
    onError: (error) => {
      say(`${error.code}: ${error.cause instanceof Error ? error.cause.message : error.message}`);
      if (values.debug) console.error(error);
    },
  });
  await using server = await listening.catch((error) => {
    throw addressTaken(error);
  });
  const stopped = terminated(() => {
    const left = server.held;
    say(left === 0 ? 'stopping' : `finishing ${left} requests; once more quits at once`);
  });
  const { training } = options as ServerOptions;
  if (training !== undefined && !existsSync(training))
    say(`${training}: no such folder yet, its stages show once they are there`);
  if (values.json) printJson({ url: server.url });
  else process.stdout.write(`${server.url}\n`);
  if (values.open) openInBrowser(server.url);
  await Promise.race([server.ready.then(() => say('ready')), stopped]);
  await stopped;
  await server.drain();
}

async function apiKeyOf({ apiKeyFile }: ServeValues): Promise<string | undefined> {
  if (apiKeyFile === undefined) return process.env.STARSTACK_API_KEY || undefined;
  try {
    return (await readFile(apiKeyFile, 'utf8')).trim();
  } catch (cause) {
    throw new UsageError('file_unreadable', `cannot read ${apiKeyFile}; check --api-key-file`, {}, { cause });
  }
}

/** The system's word for an address that cannot be had is no fault of Starstack's. */
function addressTaken(error: unknown): unknown {
  const { code, port } = error as { code?: unknown; port?: unknown };
  if (code !== 'EADDRINUSE') return error;
  return new UsageError(
    'port_taken',
    `port ${port} is taken by another program; choose another with --port, or 0 for any`,
  );
}

/** Resolves with the first SIGTERM or SIGINT; the next one ends the process at once. */
function terminated(first: () => void): Promise<void> {
  return new Promise((resolve) => {
    const listener = () => {
      process.off('SIGTERM', listener).off('SIGINT', listener);
      first();
      resolve();
    };
    process.on('SIGTERM', listener).on('SIGINT', listener);
  });
}
