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
  return [{ step, picture: async () => (await ask(picture)).blob() }];
}

/** A log that grows: each reading asks for what came after the last one. */
export class GrowingLog {
  readonly #address: string;
  readonly #ask: Ask;
  readonly #decoder = new TextDecoder();
  #bytes = 0;
  #text = '';

  constructor(address: string, ask: Ask) {
    this.#address = address;
    this.#ask = ask;
  }

  /** All of it so far; undefined where nothing came since the last reading. */
  async read(): Promise<string | undefined> {
    // The last byte is asked for again: a range beyond the end is refused, and so is told from a log that stands still.
    const from = Math.max(0, this.#bytes - 1);
    const answer = await this.#ask(this.#address, from > 0 ? { range: `bytes=${from}-` } : {});
    const bytes = answer.status === rangeRefused ? undefined : new Uint8Array(await answer.arrayBuffer());
    if (from > 0 && answer.status === partial && bytes) {
      if (bytes.length === 1) return undefined;
      return this.#add(bytes.subarray(1));
    }
    // Shorter than what was read: another training writes there now.
    this.#bytes = 0;
    this.#text = '';
    this.#decoder.decode();
    return bytes ? this.#add(bytes) : await this.read();
  }

  #add(bytes: Uint8Array): string {
    this.#bytes += bytes.length;
    this.#text += this.#decoder.decode(bytes, { stream: true });
    return this.#text;
  }
}
