/** Finds out whether programs can run on WebGPU here, without risk to the process that asks. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { entry } from './entry.ts';
import { disableTelemetry } from './telemetry.ts';

/** Compiling the first shaders of a slow driver takes seconds; a driver that hangs takes for ever. */
const probeTimeout = 60_000;

/** Why there is no GPU worth trying, as a clause; undefined where one may be. Asks the file system only. */
export function missingGpu(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const renderNode = existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('renderD'));
  if (renderNode || existsSync('/dev/nvidia0') || existsSync('/dev/dxg')) return undefined;
  return 'this machine has no GPU device (/dev/dri/renderD*, /dev/nvidia0 or /dev/dxg)';
}

/** Runs a small program on WebGPU in another process. Resolves to why that failed, as a clause, or to undefined. */
export async function webGpuProblem(): Promise<string | undefined> {
  disableTelemetry();
  const { path, execArgv } = entry('probe');
  return new Promise((resolve) => {
    const options = { timeout: probeTimeout, killSignal: 'SIGKILL' as const };
    execFile(process.execPath, [...execArgv, path], options, (error, stdout, stderr) => {
      const said = /^\{"problem":.*\}$/m.exec(stdout)?.[0];
      if (said !== undefined) {
        const { problem } = JSON.parse(said) as { problem: string | null };
        resolve(problem === null ? undefined : lastSentence(problem));
      } else if (error?.killed) resolve(`its driver gave no answer within ${probeTimeout / 1000} s`);
      else resolve(`its driver crashed (${error?.signal ?? `exit code ${error?.code}`}): ${lastSentence(stderr)}`);
    });
  });
}

/** Native messages begin with a source file and the expression that failed; the words for people come last. */
function lastSentence(message: string): string {
  const line = message.trim().split('\n').at(-1) ?? '';
  return line.slice(line.lastIndexOf('was false. ') + 1).replace(/^as false\. /, '') || 'no message';
}
