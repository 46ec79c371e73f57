/**
 * Scores of an edit without a judge: a mapping fixed in advance (EVALUATION 9.5). s1, compliance, comes from what the checker
 * reads; s2, naturalness, and s3, detail, are PSNR inside and outside of the changed region. Each is 1 to 5, as in ImgEdit.
 */
import { mean } from '../bootstrap.ts';

export interface EditScores {
  readonly compliance: number;
  readonly naturalness: number;
  readonly detail: number;
}

/** What became of one thing that was asked for. */
export type Outcome =
  /** As asked. */
  | 'right'
  /** As asked but for a place off by half an object at most, or a size by one step. */
  | 'slip'
  /** The right object, a wrong value. */
  | 'value'
  /** Something of the right kind in the wrong place or to the wrong object. */
  | 'place'
  | 'none';

const outcomeScores: Readonly<Record<Outcome, number>> = { right: 5, slip: 4, value: 3, place: 2, none: 1 };

export interface Compliance {
  /** One for each operation: two of a compose edit. */
  readonly outcomes: readonly Outcome[];
  /** Objects that were to stay and moved a little, or changed size by a step. */
  readonly slips: number;
  /** Faults in what was to stay: objects lost, changed or come from nowhere, the background changed. */
  readonly collateral: number;
  /** Nothing of what was to stay is there: another picture, not an edit of this one. */
  readonly unrelated: boolean;
}

/**
 * s1. Of several operations the mean counts, rounded down. One slip costs a point; collateral damage or more slips leave 3 at
 * most. An edit of which nothing was done is 1 whatever else happened, and so is another picture.
 */
export function complianceScore({ outcomes, slips, collateral, unrelated }: Compliance): number {
  if (unrelated) return 1;
  const asked = Math.floor(mean(outcomes.map((outcome) => outcomeScores[outcome])));
  const allSlips = slips + outcomes.filter((outcome) => outcome === 'slip').length;
  const most = collateral > 0 || allSlips > 1 ? 3 : allSlips === 1 ? 4 : 5;
  return Math.min(asked, most);
}

/** Decibels to points: ≥ 30 is 5, ≥ 25 is 4, ≥ 20 is 3, ≥ 15 is 2, else 1. */
export function psnrScore(psnr: number): number {
  return psnr >= 30 ? 5 : psnr >= 25 ? 4 : psnr >= 20 ? 3 : psnr >= 15 ? 2 : 1;
}

/** The second and third score no higher than the first: ImgEdit only asks its judge for it. */
export function clamped(scores: EditScores): EditScores {
  const { compliance } = scores;
  return {
    compliance,
    naturalness: Math.min(scores.naturalness, compliance),
    detail: Math.min(scores.detail, compliance),
  };
}

/** Rounded to two decimals, as the official scripts do at every step. */
export function rounded(value: number): number {
  return Math.round((value + Number.EPSILON) * 100) / 100;
}

/** Mean of the three, two decimals. */
export function itemScore({ compliance, naturalness, detail }: EditScores): number {
  return rounded((compliance + naturalness + detail) / 3);
}

export interface ScoredType {
  readonly type: string;
  readonly score: number;
}

export interface ImgEditMeans {
  readonly types: Readonly<Record<string, number>>;
  /** Mean of the types' means: what STAR's table has. */
  readonly macro: number;
  /** Mean over all items: what BAGEL's script prints. */
  readonly micro: number;
}

/** Means by type and both overall ones. */
export function imgEditMeans(items: readonly ScoredType[]): ImgEditMeans {
  const names = [...new Set(items.map(({ type }) => type))];
  const of = (name: string) => mean(items.filter(({ type }) => type === name).map(({ score }) => score));
  return {
    types: Object.fromEntries(names.map((name) => [name, rounded(of(name))])),
    macro: mean(names.map(of)),
    micro: mean(items.map(({ score }) => score)),
  };
}

/**
 * The official reading of a judge's reply (`step1`): lines that split by ": " into two of which the second is all digits; mean
 * of those numbers, two decimals; `null` when there is none.
 */
export function parseJudgeReply(reply: string): number | null {
  const numbers = reply.split('\n').flatMap((line) => {
    const parts = line.trim().split(': ');
    return parts.length === 2 && /^\d+$/.test(parts[1]!) ? [Number(parts[1])] : [];
  });
  return numbers.length === 0 ? null : rounded(mean(numbers));
}
