/**
 * How much of a codebook a set of pictures uses. Always read with the number of tokens: even perfectly uniform codes use
 * only 1 − (1 − 1/K)^N of K codes in N tokens.
 */
import { EvaluationError } from '../error.ts';

export interface CodebookUse {
  readonly tokens: number;
  readonly codebookSize: number;
  /** Distinct codes over the codebook's size. */
  readonly usage: number;
  /** What uniform codes would use with so many tokens. */
  readonly uniformUsage: number;
  /** exp(−Σ p ln p) of the codes' shares: from 1 to the codebook's size. */
  readonly perplexity: number;
  readonly perplexityShare: number;
}

/** Expected share of distinct codes among `tokens` uniform draws. */
export function expectedUniformUsage(codebookSize: number, tokens: number): number {
  // log1p and expm1 keep small shares exact.
  return -Math.expm1(tokens * Math.log1p(-1 / codebookSize));
}

/**
 * @param codes of all pictures, whole numbers below `codebookSize`
 * @throws EvaluationError `evaluation_empty` or `evaluation_mismatch`
 */
export function codebookUse(codes: Iterable<number>, codebookSize: number): CodebookUse {
  const counts = new Map<number, number>();
  let tokens = 0;
  for (const code of codes) {
    if (!Number.isInteger(code) || code < 0 || code >= codebookSize) {
      throw new EvaluationError(
        'evaluation_mismatch',
        `codebookUse: expected codes below ${codebookSize}, got ${code}`,
      );
    }
    counts.set(code, (counts.get(code) ?? 0) + 1);
    tokens++;
  }
  if (tokens === 0) throw new EvaluationError('evaluation_empty', 'codebookUse: no codes');
  let entropy = 0;
  for (const count of counts.values()) entropy -= (count / tokens) * Math.log(count / tokens);
  const perplexity = Math.exp(entropy);
  return {
    tokens,
    codebookSize,
    usage: counts.size / codebookSize,
    uniformUsage: expectedUniformUsage(codebookSize, tokens),
    perplexity,
    perplexityShare: perplexity / codebookSize,
  };
}
