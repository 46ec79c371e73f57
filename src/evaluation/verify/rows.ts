/** Rows of a verification: what was compared with what, and how far apart it was. */
import type { TensorValue } from '../../tensor/index.ts';
import type { ExpectedFile } from './expected.ts';

export interface VerifyRow {
  /** File of `expected/`, without `.safetensors`. */
  readonly file: string;
  readonly what: string;
  /** `not supported` is no failure: nothing was compared. */
  readonly status: 'pass' | 'fail' | 'not supported';
  /** Largest error, absolute or relative to the largest expected entry as `measure` says; absent for tokens and text. */
  readonly error?: number;
  readonly tolerance?: number;
  readonly measure?: 'absolute' | 'relative';
  /** Why it failed with the first or largest difference, or how much was equal. */
  readonly note?: string;
}

/** Numbers of any array. */
export type Numbers = ArrayLike<number | bigint>;

/** What a program gave, or what was made of it. */
export type Compared = Pick<TensorValue, 'shape'> & { readonly data: Numbers };

export interface Tolerance {
  readonly tolerance: number;
  /** Default `absolute`. */
  readonly measure?: 'absolute' | 'relative';
}

const defaultTolerance = 2e-4;

/** Collects the rows of one file. A tensor that the file lacks fails its own row; the others go on. */
export class RowSheet {
  readonly rows: VerifyRow[] = [];
  readonly #file: ExpectedFile;
  #brokenOff = false;

  constructor(file: ExpectedFile) {
    this.#file = file;
  }

  /** Numbers within a tolerance of the file's `tensor`. Shapes may differ in axes of size 1. */
  numbers(what: string, actual: Compared | undefined, tensor: string, limit?: Tolerance): void {
    this.#row(what, () => {
      if (!actual) throw new Error('internal: the program gave no such output');
      return compareNumbers(actual, this.#file.tensor(tensor), limit ?? { tolerance: defaultTolerance });
    });
  }

  /** Whole numbers, all equal to the file's `tensor`, or to `expected` where they are given. */
  tokens(what: string, actual: Numbers, expected: string | readonly number[]): void {
    this.#row(what, () =>
      compareTokens(actual, typeof expected === 'string' ? this.#file.tensor(expected).data : expected),
    );
  }

  text(what: string, actual: string, expected: string): void {
    this.#row(what, () => compareTexts(actual, expected));
  }

  /** Runs a part of a check; where it breaks off, a failed row tells why, and the other parts go on. */
  async part(what: string, run: () => Promise<void> | void): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.#brokenOff = true;
      this.fail(what, reasonOf(error));
    }
  }

  /** Ends the sheet: tensors that no check asked for are named, unless a part that broke off would have. */
  close(): void {
    if (this.#brokenOff) return;
    for (const name of this.#file.unread()) {
      this.#push({ what: name, status: 'not supported', note: 'no check for this tensor' });
    }
  }

  fail(what: string, note: string): void {
    this.#push({ what, status: 'fail', note });
  }

  #row(what: string, compare: () => Omit<VerifyRow, 'file' | 'what'>): void {
    try {
      this.#push({ what, ...compare() });
    } catch (error) {
      this.fail(what, reasonOf(error));
    }
  }

  #push(row: Omit<VerifyRow, 'file'>): void {
    this.rows.push({ file: this.#file.name, ...row });
  }
}

type Outcome = Omit<VerifyRow, 'file' | 'what'>;

function compareNumbers(actual: Compared, expected: Compared, { tolerance, measure = 'absolute' }: Tolerance): Outcome {
  if (!sameButOnes(actual.shape, expected.shape) || actual.data.length !== expected.data.length) {
    return { status: 'fail', note: `shape [${actual.shape}], expected [${expected.shape}]` };
  }
  let error = 0;
  let largest = 0;
  let at = 0;
  for (let index = 0; index < expected.data.length; index++) {
    const wanted = Number(expected.data[index]);
    const difference = Math.abs(Number(actual.data[index]) - wanted);
    // A NaN would pass unseen through a maximum.
    if (Number.isNaN(difference)) {
      return { status: 'fail', tolerance, measure, note: `not comparable ${place(index, actual, expected)}` };
    }
    if (difference > error) {
      error = difference;
      at = index;
    }
    largest = Math.max(largest, Math.abs(wanted));
  }
  if (measure === 'relative' && error > 0) error /= largest;
  if (error <= tolerance) return { status: 'pass', error, tolerance, measure };
  return { status: 'fail', error, tolerance, measure, note: `largest error ${place(at, actual, expected)}` };
}

function place(index: number, actual: Compared, expected: Compared): string {
  return `at ${index}: ${actual.data[index]}, expected ${expected.data[index]}`;
}

function compareTokens(actual: Numbers, expected: Numbers): Outcome {
  const length = Math.max(actual.length, expected.length);
  for (let index = 0; index < length; index++) {
    // Past the end of one of them a comparison with NaN: unequal.
    if (Number(actual[index]) === Number(expected[index])) continue;
    const [got, wanted] = [actual[index] ?? 'nothing', expected[index] ?? 'nothing'];
    return { status: 'fail', note: `first difference at ${index}: ${got}, expected ${wanted}` };
  }
  return { status: 'pass', note: `${length} equal` };
}

function compareTexts(actual: string, expected: string): Outcome {
  if (actual === expected) return { status: 'pass', note: 'equal' };
  let at = 0;
  while (actual[at] === expected[at]) at++;
  const from = Math.max(0, at - 20);
  const shown = (text: string) => JSON.stringify(text.slice(from, at + 40));
  return { status: 'fail', note: `first difference at ${at}: ${shown(actual)}, expected ${shown(expected)}` };
}

function sameButOnes(a: readonly number[], b: readonly number[]): boolean {
  const bare = (shape: readonly number[]) => shape.filter((size) => size !== 1).join();
  return bare(a) === bare(b);
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
