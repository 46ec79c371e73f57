/** Trainings that the server watches (`starstack serve --training`): their stages, and their logs as they grow. */
import { isRecord } from '../backend/model-description.ts';
import type { Preview } from './run-files.ts';

export interface ServerStage {
  readonly stage: string;
  readonly log: string;
  readonly previews: readonly Preview[];
}

/** The file has no such bytes. */
const rangeRefused = 416;
const partial = 206;

/** Fetches with the key, where there is one. */
export type Ask = (address: string, headers?: Readonly<Record<string, string>>) => Promise<Response>;

export function asker(key: () => string): Ask {
  return async (address, headers = {}) => {
    const all = key() === '' ? headers : { ...headers, authorization: `Bearer ${key()}` };
    const answer = await fetch(new URL(address, location.href), { headers: all });
    if (answer.ok || answer.status === rangeRefused) return answer;
    throw new Error(`HTTP ${answer.status}`);
  };
}

/** The one that was written last comes first; none where the server watches no training. */
export async function serverStages(ask: Ask): Promise<ServerStage[]> {
  const body: unknown = await (await ask('/training')).json();
  const listed: readonly unknown[] = isRecord(body) && Array.isArray(body.data) ? body.data : [];
  return listed.filter(isRecord).flatMap(({ stage, log, previews }) => {
    if (typeof stage !== 'string' || typeof log !== 'string') return [];
    const sheets: readonly unknown[] = Array.isArray(previews) ? previews : [];
    return [{ stage, log, previews: sheets.filter(isRecord).flatMap((sheet) => previewOf(sheet, ask)) }];
  });
}

function previewOf({ step, picture }: Readonly<Record<string, unknown>>, ask: Ask): Preview[] {
  if (typeof step !== 'number' || typeof picture !== 'string') return [];
  let asked: Promise<Blob> | undefined;
  // Asked for once; what failed may be asked for again.
  const once = () => {
    asked ??= ask(picture).then((answer) => answer.blob());
    asked.catch(() => {
      asked = undefined;
    });
    return asked;
  };
  return [{ step, picture: once }];
}

/**
 * A log that grows: each reading asks for what came after the last one, from the last whole line on. Where that line is another
 * one, a training that went on from an earlier step, or another training, has written the log anew.
 */
export class GrowingLog {
  readonly #address: string;
  readonly #ask: Ask;
  /** Whole lines. */
  #known: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  constructor(address: string, ask: Ask) {
    this.#address = address;
    this.#ask = ask;
  }

  /** All whole lines so far; undefined where nothing came since the last reading. One reading at a time. */
  async read(): Promise<string | undefined> {
    const from = lineBefore(this.#known, this.#known.length - 1);
    const answer = await this.#ask(this.#address, from > 0 ? { range: `bytes=${from}-` } : {});
    const refused = answer.status === rangeRefused;
    const bytes = refused ? undefined : new Uint8Array(await answer.arrayBuffer());
    const line = this.#known.subarray(from);
    const same = bytes !== undefined && line.every((byte, at) => bytes[at] === byte);
    if (refused || (answer.status === partial && !same)) {
      // An empty file refuses any range.
      if (from === 0) return undefined;
      this.#known = new Uint8Array(0);
      return await this.read();
    }
    const whole = answer.status === partial ? joined(this.#known.subarray(0, from), bytes!) : bytes!;
    const end = lineBefore(whole, whole.length);
    if (same && end === this.#known.length) return undefined;
    this.#known = whole.slice(0, end);
    return new TextDecoder().decode(this.#known);
  }
}

/** Where the line begins that ends at `end`: after the line break before it. */
function lineBefore(bytes: Uint8Array, end: number): number {
  return end <= 0 ? 0 : bytes.lastIndexOf(lineBreak, end - 1) + 1;
}

const lineBreak = 10;

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
