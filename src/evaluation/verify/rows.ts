/** Rows of a verification: what was compared with what, and how far apart it was. */
import type { TensorValue } from '../../tensor/index.ts';

export interface VerifyRow {
  /** File of `expected/` without its ending. */
  readonly file: string;
  readonly what: string;
  readonly status: 'pass' | 'fail' | 'not supported';
  /** Largest error, absolute or relative to the largest expected entry as `measure` says; absent for tokens and text. */
  readonly error?: number;
  readonly tolerance?: number;
  readonly measure?: 'absolute' | 'relative';
  /** Why it failed, or the first difference. */
  readonly note?: string;
}

/** Numbers of any array. */
type Numbers = ArrayLike<number | bigint>;

export interface Compared {
  readonly shape: readonly number[];
  readonly data: Numbers;
}

/** Collects the rows of one file. */
export class RowSheet {
  readonly rows: VerifyRow[] = [];
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  /** Numbers within a tolerance. Shapes may differ in axes of size 1. */
  numbers(
    what: string,
    actual: Compared,
    expected: Compared,
    tolerance = 2e-4,
    measure: 'absolute' | 'relative' = 'absolute',
  ): void {
    if (!sameButOnes(actual.shape, expected.shape)) {
      this.fail(what, `shape [${actual.shape}], expected [${expected.shape}]`);
      return;
    }
    let error = 0;
    let largest = 0;
    for (let index = 0; index < expected.data.length; index++) {
      const difference = Math.abs(Number(actual.data[index]) - Number(expected.data[index]));
      // A NaN would pass unseen through a maximum.
      if (!(difference <= error)) error = difference;
      largest = Math.max(largest, Math.abs(Number(expected.data[index])));
    }
    if (measure === 'relative' && error > 0) error /= largest;
    this.rows.push({ file: this.file, what, status: error <= tolerance ? 'pass' : 'fail', error, tolerance, measure });
  }

  /** Whole numbers, all equal. */
  tokens(what: string, actual: Numbers, expected: Numbers): void {
    const length = Math.max(actual.length, expected.length);
    for (let index = 0; index < length; index++) {
      if (Number(actual[index]) !== Number(expected[index])) {
        this.fail(
          what,
          `first difference at ${index}: ${actual[index] ?? 'nothing'}, expected ${expected[index] ?? 'nothing'}`,
        );
        return;
      }
    }
    this.rows.push({ file: this.file, what, status: 'pass', note: `${length} equal` });
  }

  text(what: string, actual: string, expected: string): void {
    if (actual === expected) this.rows.push({ file: this.file, what, status: 'pass', note: 'equal' });
    else this.fail(what, `${JSON.stringify(actual.slice(0, 120))}, expected ${JSON.stringify(expected.slice(0, 120))}`);
  }

  fail(what: string, note: string): void {
    this.rows.push({ file: this.file, what, status: 'fail', note });
  }
}

function sameButOnes(a: readonly number[], b: readonly number[]): boolean {
  const bare = (shape: readonly number[]) => shape.filter((size) => size !== 1).join();
  return bare(a) === bare(b);
}

/** Part of a tensor along its first axis. */
export function rowsOf({ shape, data }: TensorValue, start: number, count: number): Compared {
  const width = shape.slice(1).reduce((a, b) => a * b, 1);
  return { shape: [count, ...shape.slice(1)], data: data.subarray(start * width, (start + count) * width) as Numbers };
}
