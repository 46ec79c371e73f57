/**
 * How an answer in words becomes one that can be scored. Yes and no follow POPE's own rule, and MME's; short answers are
 * normalised by fixed rules, so that no judge is needed: lower case, no punctuation, no articles, number words as digits.
 */

/**
 * POPE's rule (AoiDragon/POPE, `evaluate.py`): of the text before the first full stop, commas taken out, split at spaces,
 * the words `No`, `not` and `no` mean no; anything else means yes.
 */
export function popeAnswer(reply: string): 'yes' | 'no' {
  const [sentence = ''] = reply.split('.');
  const words = sentence.replaceAll(',', '').split(' ');
  return words.some((word) => word === 'No' || word === 'not' || word === 'no') ? 'no' : 'yes';
}

/** MME's rule: `yes` or `no` within the first four characters, in either case; else the answer counts as wrong. */
export function mmeAnswer(reply: string): 'yes' | 'no' | null {
  const start = reply.trim().toLowerCase().slice(0, 4);
  if (start.includes('yes')) return 'yes';
  return start.includes('no') ? 'no' : null;
}

const numberWords = [
  'zero one two three four five six seven eight nine ten',
  'eleven twelve thirteen fourteen fifteen sixteen',
]
  .join(' ')
  .split(' ');

/** One spelling of an answer: `The Wine-Glass.` becomes `wine glass`, `two` becomes `2`, `grey` `gray`. */
export function normalizeAnswer(reply: string): string {
  const words = reply
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()
    .split(' ');
  return words
    .filter((word) => !/^(a|an|the)$/.test(word))
    .map((word) => (numberWords.includes(word) ? String(numberWords.indexOf(word)) : word))
    .map((word) => (word === 'grey' ? 'gray' : word))
    .join(' ');
}

/**
 * The number that a reply gives: its only one, in digits or words. `There are three.` gives 3; two different numbers or
 * none give `null`.
 */
export function numberAnswer(reply: string): number | null {
  const words = normalizeAnswer(reply).split(' ');
  const numbers = new Set(words.filter((word) => /^\d+$/.test(word)).map(Number));
  if (numbers.size === 1) return [...numbers][0]!;
  return numbers.size === 0 && words.some((word) => word === 'no' || word === 'none') ? 0 : null;
}

/** Words that introduce an answer and say nothing. */
const introduction =
  /^(there (is|are)|it (is|s)|they (are|re)|this is|i (can )?see|in|at|on|to|color is|colour is|answer is|background is) /;

/**
 * Whether a reply gives the expected answer.
 *
 * `yes` and `no` are compared by POPE's rule but must be said: `Maybe` is no yes here. Numbers: the only number of the reply.
 * Else the normalised reply must equal the answer or one of `accepted`, with or without an introduction; a longer reply counts
 * when it contains the answer and none of `others` (the other answers that the question allows).
 */
export function answersEqual(
  reply: string,
  answer: string,
  accepted: readonly string[] = [],
  others: readonly string[] = [],
): boolean {
  const said = normalizeAnswer(reply);
  if (answer === 'yes' || answer === 'no') return said.split(' ')[0] === answer;
  if (/^\d+$/.test(answer)) return numberAnswer(reply) === Number(answer);
  const wanted = [answer, ...accepted].map(normalizeAnswer);
  if (wanted.includes(said) || wanted.includes(withoutIntroduction(said))) return true;
  const contains = (text: string) => ` ${said} `.includes(` ${text} `);
  // Longer names first hide what is part of them: `top` in `top left`.
  const rivals = others.map(normalizeAnswer).filter((other) => !wanted.includes(other) && contains(other));
  const found = wanted.filter(contains);
  return found.length > 0 && rivals.every((rival) => found.some((name) => ` ${name} `.includes(` ${rival} `)));
}

function withoutIntroduction(text: string): string {
  let rest = text;
  while (introduction.test(rest)) rest = rest.replace(introduction, '');
  return rest;
}
