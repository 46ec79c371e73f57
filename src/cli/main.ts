#!/usr/bin/env node
/** The program `starstack`. */
import { run } from './program.ts';

// A reader that closes early, such as `head`, is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

// Not `process.exit`: what was printed into a pipe must still leave.
process.exitCode = await run(process.argv.slice(2));
