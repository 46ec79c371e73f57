/** Reads a training's `metrics.jsonl`; its form is that of `MetricsLine` in src/training/metrics.ts. */

export interface Series {
  readonly name: string;
  /** Rising. */
  readonly steps: readonly number[];
  readonly values: readonly number[];
}

export interface Metrics {
  /** What each step told: loss, learning rate, … */
  readonly steps: readonly Series[];
  /** What was measured at previews. */
  readonly previews: readonly Series[];
  readonly lastStep: number;
  /** Lines that are none of a log: a process was killed while it wrote, or this is another file. */
  readonly skipped: number;
}

export function parseMetrics(text: string): Metrics {
  const found = { step: new Map<string, Points>(), preview: new Map<string, Points>() };
  let skipped = 0;
  let lastStep = 0;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const row = rowOf(line);
    if (row === undefined) {
      skipped++;
      continue;
    }
    lastStep = Math.max(lastStep, row.step);
    if (row.kind !== 'step' && row.kind !== 'preview') continue;
    for (const [name, value] of Object.entries(row.numbers)) {
      const points = found[row.kind].get(name) ?? { steps: [], values: [] };
      found[row.kind].set(name, points);
      points.steps.push(row.step);
      points.values.push(value);
    }
  }
  return { steps: seriesOf(found.step), previews: seriesOf(found.preview), lastStep, skipped };
}

interface Points {
  readonly steps: number[];
  readonly values: number[];
}

function seriesOf(points: ReadonlyMap<string, Points>): Series[] {
  return [...points].map(([name, { steps, values }]) => ({ name, steps, values }));
}

interface Row {
  readonly step: number;
  readonly kind: string;
  readonly numbers: Readonly<Record<string, number>>;
}

function rowOf(line: string): Row | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { step, kind, ...others } = parsed as Readonly<Record<string, unknown>>;
  if (typeof step !== 'number' || typeof kind !== 'string') return undefined;
  const entries = Object.entries(others).flatMap(([name, value]): [string, number][] => {
    const number = numberOf(value);
    return number === undefined ? [] : [[name, number]];
  });
  return { step, kind, numbers: Object.fromEntries(entries) };
}

/** The log writes numbers that JSON does not have as strings. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return value === 'NaN' || value === 'Infinity' || value === '-Infinity' ? Number(value) : undefined;
}
