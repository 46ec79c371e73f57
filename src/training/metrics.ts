/** A training's log: one JSON object a line, appended as the training goes, cut where a resumed training goes on. */
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A line of the log. Numbers that JSON does not have (NaN, infinities) are written as strings. */
export interface MetricsLine {
  readonly step: number;
  readonly kind: 'step' | 'maintain' | 'preview';
  readonly [name: string]: number | string;
}

export class MetricsLog implements AsyncDisposable {
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /**
   * Opens `path` for appending, after lines of steps up to `step`: later ones, and a last line that a killed process
   * left unfinished, are cut off.
   */
  static async open(path: string, step: number): Promise<MetricsLog> {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(path, 'a+');
    try {
      await handle.truncate(keptBytes(await handle.readFile(), step));
      return new MetricsLog(handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async append(line: MetricsLine): Promise<void> {
    const plain = Object.entries(line).map(([name, value]) => [
      name,
      typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
    ]);
    await this.#handle.appendFile(`${JSON.stringify(Object.fromEntries(plain))}\n`);
  }

  /** Everything appended so far is on the disk when this resolves. */
  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** Bytes of the whole lines before the first one that is past `step` or is no line of a log. */
function keptBytes(content: Buffer, step: number): number {
  let start = 0;
  for (let end = content.indexOf(10); end >= 0; end = content.indexOf(10, start)) {
    const lineStep = stepOf(content.toString('utf8', start, end));
    if (lineStep === undefined || lineStep > step) break;
    start = end + 1;
  }
  return start;
}

function stepOf(line: string): number | undefined {
  try {
    const { step } = JSON.parse(line) as { step?: unknown };
    return typeof step === 'number' ? step : undefined;
  } catch {
    return undefined;
  }
}
