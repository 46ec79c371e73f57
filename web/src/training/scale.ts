/** From values to places in a chart, linear or logarithmic, and the marks beside it. */

export interface Scale {
  readonly from: number;
  readonly to: number;
  readonly log: boolean;
}

/**
 * A scale that holds all finite values; a logarithmic one only those above 0.
 * @returns undefined where there are none
 */
export function scaleOf(values: readonly number[], log: boolean): Scale | undefined {
  let from = Infinity;
  let to = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    from = Math.min(from, value);
    to = Math.max(to, value);
  }
  if (from > to) return undefined;
  // A flat line stands in the middle.
  if (from === to) return log ? { from: from / 2, to: to * 2, log } : { from: from - 1, to: to + 1, log };
  return { from, to, log };
}

/** 0 at `from`, 1 at `to`; NaN for what the scale cannot show. */
export function placeOf({ from, to, log }: Scale, value: number): number {
  if (!log) return (value - from) / (to - from);
  return value > 0 ? Math.log(value / from) / Math.log(to / from) : Number.NaN;
}

/** Round numbers inside the scale, about `count` of them. */
export function marksOf({ from, to, log }: Scale, count: number): number[] {
  if (log && to / from >= 10) {
    const first = Math.ceil(Math.log10(from) - 1e-9);
    const last = Math.floor(Math.log10(to) + 1e-9);
    const stride = Math.max(1, Math.ceil((last - first + 1) / count));
    return Array.from({ length: Math.floor((last - first) / stride) + 1 }, (_, i) => Number(`1e${first + i * stride}`));
  }
  const rough = (to - from) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999)!;
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Short: four digits, and no more than people read. */
export function shortNumber(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(1).replace('e+', 'e').replace('.0e', 'e');
  return String(Number(value.toPrecision(4)));
}
