/**
 * Sizes of axes. A size is a number, or a polynomial in named sizes that are known only when the program runs, written
 * as a string in one canonical form: `sequence`, `past+sequence`, `batch*sequence`, `2*batch+1`. Equal sizes are equal
 * strings, so shapes can be checked while the program is built.
 */
import { TensorError } from './error.ts';

/** The size of one axis: a number of elements, or a named size such as `'batch'` or `'past+sequence'`. */
export type Dim = number | string;

/** The sizes of a tensor's axes, outermost first. */
export type Shape = readonly Dim[];

/** Integer coefficients by monomial; a monomial is its names, sorted, joined by `*`; the constant's is empty. */
type Polynomial = Map<string, number>;

const namePattern = /^[A-Za-z_@][A-Za-z0-9_@.]*$/;

function parse(dim: Dim): Polynomial {
  const terms: Polynomial = new Map();
  if (typeof dim === 'number') {
    if (!Number.isSafeInteger(dim)) throw new TensorError('shape', `a size must be a whole number, got ${dim}`);
    if (dim !== 0) terms.set('', dim);
    return terms;
  }
  for (const term of dim.split('+')) {
    let coefficient = 1;
    const names: string[] = [];
    for (const factor of term.split('*')) {
      if (/^-?\d+$/.test(factor)) coefficient *= Number(factor);
      else if (namePattern.test(factor)) names.push(factor);
      else throw new TensorError('shape', `"${dim}" is not a size: expected names and whole numbers joined by + and *`);
    }
    addTerm(terms, names.sort().join('*'), coefficient);
  }
  return terms;
}

function addTerm(terms: Polynomial, monomial: string, coefficient: number): void {
  const sum = (terms.get(monomial) ?? 0) + coefficient;
  if (sum === 0) terms.delete(monomial);
  else terms.set(monomial, sum);
}

function format(terms: Polynomial): Dim {
  const monomials = [...terms.keys()].sort((a, b) => (a === '' ? 1 : b === '' ? -1 : a < b ? -1 : 1));
  if (monomials.length === 0) return 0;
  if (monomials.length === 1 && monomials[0] === '') return terms.get('')!;
  return monomials
    .map((monomial) => {
      const coefficient = terms.get(monomial)!;
      if (monomial === '') return String(coefficient);
      return coefficient === 1 ? monomial : `${coefficient}*${monomial}`;
    })
    .join('+');
}

/** Brings a size that a person wrote into its canonical form. */
export function canonicalDim(dim: Dim): Dim {
  return format(parse(dim));
}

/**
 * Brings the shape that a person gave an operator into canonical form. Throws `TensorError` for a size below 0 or one that
 * is not a whole number.
 */
export function canonicalShape(operator: string, shape: Shape): Shape {
  return shape.map((dim, axis) => {
    const size = canonicalDim(dim);
    if (typeof size === 'number' && size < 0) {
      throw new TensorError(operator, `axis ${axis} of ${formatShape(shape)} has size ${size}, expected at least 0`, {
        shape,
        axis,
      });
    }
    return size;
  });
}

export function addDims(...dims: readonly Dim[]): Dim {
  if (dims.every((dim) => typeof dim === 'number')) return (dims as number[]).reduce((a, b) => a + b, 0);
  const sum: Polynomial = new Map();
  for (const dim of dims) for (const [monomial, coefficient] of parse(dim)) addTerm(sum, monomial, coefficient);
  return format(sum);
}

export function subtractDims(a: Dim, b: Dim): Dim {
  return addDims(a, multiplyDims(b, -1));
}

export function multiplyDims(...dims: readonly Dim[]): Dim {
  let product: Polynomial = new Map([['', 1]]);
  for (const dim of dims) {
    const next: Polynomial = new Map();
    for (const [left, a] of product) {
      for (const [right, b] of parse(dim)) {
        const names = [...(left ? left.split('*') : []), ...(right ? right.split('*') : [])].sort();
        addTerm(next, names.join('*'), a * b);
      }
    }
    product = next;
  }
  return format(product);
}

/** `a / b` where it is exact for every value of the names; undefined otherwise. */
export function divideDims(a: Dim, b: Dim): Dim | undefined {
  // Nothing divided by nothing could be any number.
  if (b === 0) return undefined;
  if (a === b) return 1;
  const divisor = [...parse(b)];
  // A sum divides only itself here; that is all the shapes of our models ask for.
  if (divisor.length !== 1) return undefined;
  const [monomial, by] = divisor[0]!;
  const quotient: Polynomial = new Map();
  for (const [term, coefficient] of parse(a)) {
    const names = term ? term.split('*') : [];
    for (const name of monomial ? monomial.split('*') : []) {
      const at = names.indexOf(name);
      if (at < 0) return undefined;
      names.splice(at, 1);
    }
    if (coefficient % by !== 0) return undefined;
    addTerm(quotient, names.join('*'), coefficient / by);
  }
  return format(quotient);
}

/** One term of a size: `coefficient * names[0] * names[1] …`. */
export interface DimTerm {
  readonly coefficient: number;
  readonly names: readonly string[];
}

/** The terms of a size, for whoever must compute it when the program runs. */
export function dimTerms(dim: Dim): readonly DimTerm[] {
  return [...parse(dim)].map(([monomial, coefficient]) => ({
    coefficient,
    names: monomial ? monomial.split('*') : [],
  }));
}

/** Number of elements of a tensor of this shape. */
export function elementCount(shape: Shape): Dim {
  return multiplyDims(1, ...shape);
}

/** True when no size depends on the run. */
export function isFixed(shape: Shape): shape is readonly number[] {
  return shape.every((dim) => typeof dim === 'number');
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** `[2, heads, 64]`, as shapes are written in messages. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/**
 * The shape of an element-wise result: axes are aligned at the end and an axis of size 1 is repeated.
 * Source: the broadcasting rule of NumPy and ONNX.
 */
export function broadcastShapes(operator: string, ...shapes: readonly Shape[]): Shape {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  const result: Dim[] = new Array(rank).fill(1);
  for (const shape of shapes) {
    shape.forEach((dim, index) => {
      const axis = index + rank - shape.length;
      if (result[axis] === 1) result[axis] = dim;
      else if (dim !== 1 && dim !== result[axis]) {
        throw new TensorError(
          operator,
          `shapes ${shapes.map(formatShape).join(' and ')} do not broadcast: axis ${axis} is ${result[axis]} in one and ${dim} in another`,
          { shapes, axis },
        );
      }
    });
  }
  return result;
}
