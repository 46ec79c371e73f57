/** The commands of `starstack`, and what becomes of their errors. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { compareCommand } from './compare.ts';
import { editCommand } from './edit.ts';
import { evaluateCommand } from './evaluate.ts';
import { exitCodes, reportFailure, UsageError } from './failure.ts';
import { generateCommand } from './generate.ts';
import { inspectCommand } from './inspect.ts';
import { manifestCommand } from './manifest.ts';
import { serveCommand } from './serve.ts';
import { requireShortCommandLine } from './text-argument.ts';
import { tokenizeCommand } from './tokenize.ts';
import { trainCommand } from './train.ts';
import { understandCommand } from './understand.ts';
import { verifyCommand } from './verify.ts';

const commands = () => [
  understandCommand(),
  generateCommand(),
  editCommand(),
  serveCommand(),
  trainCommand(),
  tokenizeCommand(),
  evaluateCommand(),
  compareCommand(),
  inspectCommand(),
  manifestCommand(),
  verifyCommand(),
];

/** The whole command line; parsing it runs a command. */
export function createProgram(): Command {
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
  for (const command of commands()) program.addCommand(command.copyInheritedSettings(program));
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
  const program = createProgram();
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
