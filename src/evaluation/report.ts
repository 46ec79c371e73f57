/**
 * Reports as data and as text. A report always says which judge, how many pictures, which seed and which sampler made it,
 * and never bears an official metric's name: `emoji-GenEval`, not GenEval.
 */
import type { Estimate } from './bootstrap.ts';

export type Cell = string | number | null;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

export interface Score {
  /** `emoji-GenEval overall`. */
  readonly name: string;
  readonly estimate: Estimate;
  /** What was drawn anew for the interval: `prompts`. */
  readonly unit: string;
}

export interface Report {
  readonly name: string;
  /** What looked at the pictures. */
  readonly judge: string;
  readonly images: number;
  readonly seed: number;
  /** How the pictures or answers were drawn; whatever the maker tells. */
  readonly sampler: Readonly<Record<string, string | number | boolean>>;
  readonly scores: readonly Score[];
  readonly tables: readonly Table[];
  readonly notes: readonly string[];
}

/** Printed with every report of the closed world. */
export const closedWorldNote =
  'Measured in a closed world of emoji by its own checker: not comparable with published numbers of the real benchmark.';

/** A maker of pictures or answers as reports name it. */
export interface Source {
  /** `model folder`, or `exact renders`. */
  readonly name: string;
  readonly sampler: Readonly<Record<string, string | number | boolean>>;
}

/** A whole report as text for people. */
export function formatReport(report: Report): string {
  const sampler = Object.entries(report.sampler).map(([key, value]) => `${key} ${value}`);
  const head = [
    report.name,
    `judge: ${report.judge}`,
    `pictures: ${report.images}, seed ${report.seed}, ${sampler.join(', ') || 'no sampler'}`,
  ];
  const scores: Table = {
    title: 'Scores',
    columns: ['score', 'value', '95 % interval', 'over'],
    rows: report.scores.map(({ name, estimate, unit }) => [
      name,
      estimate.value,
      formatInterval(estimate),
      `${estimate.units} ${unit}`,
    ]),
  };
  return [
    `${head.join('\n')}\n`,
    formatTable(scores),
    ...report.tables.map(formatTable),
    report.notes.map((note) => `note: ${note}\n`).join(''),
  ].join('\n');
}

/** `0.812 to 0.903`. */
export function formatInterval({ low, high }: Pick<Estimate, 'low' | 'high'>): string {
  return `${formatCell(low)} to ${formatCell(high)}`;
}

/** Columns side by side under the title; columns of numbers are set to the right. */
export function formatTable({ title, columns, rows }: Table): string {
  const right = [...columns.keys()].filter((column) => rows.some((row) => typeof row[column] === 'number'));
  return `${title}\n${alignColumns([columns, ...rows.map((row) => row.map(formatCell))], right)}`;
}

/** Columns side by side, two spaces between; columns whose number is in `right` are set to the right. */
export function alignColumns(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const pad = (cell: string, column: number) =>
    right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!);
  return rows.map((row) => `  ${row.map(pad).join('  ').trimEnd()}\n`).join('');
}

function formatCell(cell: Cell): string {
  if (cell === null) return '-';
  if (typeof cell === 'string' || Number.isInteger(cell)) return String(cell);
  return Math.abs(cell) >= 100 ? cell.toFixed(1) : cell.toFixed(3);
}
