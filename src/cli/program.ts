/** The commands of `starstack`, and what becomes of their errors. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { exitCodes, reportFailure, UsageError } from './failure.ts';
import { requireShortCommandLine } from './text-argument.ts';

/** In the order of the help. Each loads what it needs, which is most of a short run's time. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  understand: async () => (await import('./understand.ts')).understandCommand(),
  generate: async () => (await import('./generate.ts')).generateCommand(),
  edit: async () => (await import('./edit.ts')).editCommand(),
  serve: async () => (await import('./serve.ts')).serveCommand(),
  train: async () => (await import('./train.ts')).trainCommand(),
  tokenize: async () => (await import('./tokenize.ts')).tokenizeCommand(),
  evaluate: async () => (await import('./evaluate.ts')).evaluateCommand(),
  compare: async () => (await import('./compare.ts')).compareCommand(),
  inspect: async () => (await import('./inspect.ts')).inspectCommand(),
  manifest: async () => (await import('./manifest.ts')).manifestCommand(),
  verify: async () => (await import('./verify.ts')).verifyCommand(),
};

/**
 * The command line; parsing it runs a command.
 * @param only the command that it is to have, where it is one's name; default all
 */
export async function createProgram(only?: string): Promise<Command> {
  const program = new Command('starstack')
    .description('STAR: one model that understands, generates and edits images.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command')
    .addHelpText('after', '\nA prompt of several words needs no command: starstack "two red apples" draws.')
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 110) })
    // Errors are told by `reportFailure`, in one line.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  const names = Object.keys(commands);
  const made = names.includes(only ?? '') ? [only!] : names;
  for (const load of made.map((name) => commands[name]!)) {
    program.addCommand((await load()).copyInheritedSettings(program));
  }
  return program;
}

/** A first word with spaces in it is no command but a prompt: `starstack "two red apples"` draws. */
function withCommand(words: readonly string[]): readonly string[] {
  return /\S\s+\S/.test(words[0] ?? '') ? ['generate', ...words] : words;
}

/** Runs a command line without the first two words of `process.argv`; gives the exit code. Throws nothing. */
export async function run(given: readonly string[]): Promise<number> {
  const words = withCommand(given);
  // Asked before parsing: a command line that cannot be parsed must still be answered in the form that was asked for.
  const options = words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
  const report = { json: options.includes('--json'), debug: options.includes('--debug') };
  const program = await createProgram(words[0]);
  const command = program.commands.find((each) => each.name() === words[0]);
  const name = command ? `starstack ${command.name()}` : 'starstack';
  try {
    requireShortCommandLine(words);
    await program.parseAsync(words, { from: 'user' });
    return Number(process.exitCode ?? exitCodes.success);
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(name, error, report);
    if (error.exitCode === 0) return exitCodes.success;
    // Commander has shown its help already: no command was given.
    if (error.code === 'commander.help') return exitCodes.usage;
    return reportFailure(name, usageErrorOf(error, name), report);
  }
}

function usageErrorOf(error: CommanderError, name: string): UsageError {
  const [fault, suggestion] = error.message.replace(/^error: /, '').split('\n');
  const unquoted = error.code === 'commander.excessArguments';
  const advice = [
    ...(unquoted ? ['put a text of several words in quotes'] : []),
    // Commander's `(Did you mean --top-p?)`.
    ...(suggestion ? [suggestion.replace(/^\(|\)$/g, '').replace(/^D/, 'd')] : [`see ${name} --help`]),
  ];
  const message = `${fault!.replace(/\.$/, '')}; ${advice.join(', or ')}`;
  return new UsageError('usage', message, {}, { cause: error });
}

function packageVersion(): string {
  return (createRequire(import.meta.url)('../../package.json') as { version: string }).version;
}
