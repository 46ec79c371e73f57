import { dimTerms } from '../tensor/dimension.ts';

interface Equation {
  readonly dim: string;
  readonly actual: number;
  readonly where: string;
}

/** A size that contradicts what other inputs of the same run said. */
export interface SizeConflict {
  readonly dim: string;
  readonly expected: number;
  readonly actual: number;
  /** The input and axis that were looked at. */
  readonly where: string;
  /** What gave the names in `dim` their sizes, as in `batch = 2 (ids, axis 0)`. */
  readonly because: string;
}

/**
 * Finds the first contradiction among named sizes: the same name must be the same size everywhere, and a sum such as
 * `past+sequence` must fit its parts. A sum with one unknown name gives that name its size; one with more is left to
 * ONNX Runtime.
 */
export function sizeConflict(equations: readonly Equation[]): SizeConflict | undefined {
  const sizes = new Map<string, { readonly size: number; readonly where: string }>();
  let open = [...equations];
  for (let progress = true; progress; ) {
    progress = false;
    const unsolved: Equation[] = [];
    for (const equation of open) {
      const { dim, actual, where } = equation;
      let known = 0;
      const unknown: { readonly coefficient: number; readonly names: readonly string[] }[] = [];
      const terms = dimTerms(dim);
      for (const { coefficient, names } of terms) {
        if (names.every((name) => sizes.has(name))) {
          known += names.reduce((product, name) => product * sizes.get(name)!.size, coefficient);
        } else unknown.push({ coefficient, names });
      }
      const [first] = unknown;
      if (!first) {
        progress = true;
        if (known !== actual) return { dim, expected: known, actual, where, because: reasons(terms, sizes) };
      } else if (unknown.length === 1 && first.names.length === 1) {
        progress = true;
        const size = (actual - known) / first.coefficient;
        if (!Number.isInteger(size) || size < 0) {
          return { dim, expected: known, actual, where, because: reasons(terms, sizes) };
        }
        sizes.set(first.names[0]!, { size, where });
      } else unsolved.push(equation);
    }
    open = unsolved;
  }
  return undefined;
}

function reasons(
  terms: ReturnType<typeof dimTerms>,
  sizes: ReadonlyMap<string, { readonly size: number; readonly where: string }>,
): string {
  const names = new Set(terms.flatMap((term) => term.names));
  return [...names]
    .filter((name) => sizes.has(name))
    .map((name) => `${name} = ${sizes.get(name)!.size} (${sizes.get(name)!.where})`)
    .join(', ');
}
