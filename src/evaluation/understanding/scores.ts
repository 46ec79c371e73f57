/** The arithmetic of the suites: POPE's five metrics, MME's acc and acc+. */
import { mean } from '../bootstrap.ts';
import { mmeAnswer, popeAnswer } from './answers.ts';
import type { SuiteQuestion } from './suites.ts';

/** A question and what was said. */
export interface Reply extends SuiteQuestion {
  readonly reply: string;
}

export interface PopeMetrics {
  readonly accuracy: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly yesRatio: number;
}

/** `yes` is the positive; a ratio with nothing below it is 0. */
export function popeMetrics(replies: readonly Reply[]): PopeMetrics {
  const count = (said: string, label: string) =>
    replies.filter(({ reply, answer }) => popeAnswer(reply) === said && answer === label).length;
  const [truePositive, falsePositive] = [count('yes', 'yes'), count('yes', 'no')];
  const [trueNegative, falseNegative] = [count('no', 'no'), count('no', 'yes')];
  const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  const precision = ratio(truePositive, truePositive + falsePositive);
  const recall = ratio(truePositive, truePositive + falseNegative);
  return {
    accuracy: ratio(truePositive + trueNegative, replies.length),
    precision,
    recall,
    f1: ratio(2 * precision * recall, precision + recall),
    yesRatio: ratio(truePositive + falsePositive, replies.length),
  };
}

export interface MmeScore {
  /** Share of questions right. */
  readonly accuracy: number;
  /** Share of pictures with both right. */
  readonly accuracyPlus: number;
  /** 100·acc + 100·acc+, of 200. */
  readonly score: number;
}

/** The score of one subtask. */
export function mmeScore(replies: readonly Reply[]): MmeScore {
  if (replies.length === 0) return { accuracy: 0, accuracyPlus: 0, score: 0 };
  const right = ({ reply, answer }: Reply) => mmeAnswer(reply) === answer;
  const pictures = [...new Set(replies.map(({ scene }) => scene))];
  const accuracy = mean(replies.map((reply) => (right(reply) ? 1 : 0)));
  const accuracyPlus = mean(
    pictures.map((picture) => (replies.filter(({ scene }) => scene === picture).every(right) ? 1 : 0)),
  );
  return { accuracy, accuracyPlus, score: 100 * accuracy + 100 * accuracyPlus };
}
