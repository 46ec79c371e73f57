/**
 * A plain float64 reference of the tensor language: every operator by its definition, and an interpreter that walks a
 * traced program. Slow and simple on purpose; compiled programs are compared with it.
 */
import { type Dim, dimTerms, type Shape } from '../../src/tensor/dimension.ts';
import { dtypes } from '../../src/tensor/dtype.ts';
import type {
  ArgumentOperator,
  BinaryOperator,
  CompareOperator,
  OperatorAttributes,
  OperatorName,
  ReduceOperator,
  Subgraph,
  UnaryOperator,
} from '../../src/tensor/operators.ts';
import type { Node, Tensor } from '../../src/tensor/tensor.ts';
import {
  at,
  atBroadcast,
  broadcastShape,
  type NumericArray,
  numericArray,
  placeOf,
  positionsOf,
  replaced,
  scalarArray,
  tabulate,
} from './array.ts';
import { binaryValues, compareValues, geluValue, unaryValues } from './reference-elementwise.ts';
import {
  bilinear,
  causalAttention,
  convolution,
  type Five,
  packedCausalAttention,
  rotated,
  standardized,
  transposedConvolution,
} from './reference-spatial.ts';

/** What a rule computes from. */
interface Application<K extends OperatorName> {
  readonly attributes: OperatorAttributes<Tensor>[K];
  readonly inputs: readonly NumericArray[];
  readonly node: Node;
  readonly run: Run;
}
type ReferenceRule<K extends OperatorName> = (application: Application<K>) => readonly NumericArray[];

/** What a program is run with. */
export interface ReferenceFeeds {
  /** Values of inputs, by name. */
  readonly inputs: Readonly<Record<string, NumericArray>>;
  /** Contents of weight files, by path. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
}

/** One run of a program, or one turn of a loop inside of it. */
class Run {
  readonly feeds: ReferenceFeeds;
  private readonly parent: Run | undefined;
  private readonly values = new Map<Node, readonly NumericArray[]>();
  private readonly sizes = new Map<string, number>();

  constructor(feeds: ReferenceFeeds, parent?: Run) {
    this.feeds = feeds;
    this.parent = parent;
  }

  inner(): Run {
    return new Run(this.feeds, this);
  }

  evaluate(tensor: Tensor): NumericArray {
    const known = this.known(tensor.node);
    if (known) return known[tensor.index]!;
    const { operator, attributes, inputs } = tensor.node;
    const rule = referenceRules[operator] as ReferenceRule<OperatorName>;
    const values = rule({
      attributes: attributes as never,
      inputs: inputs.map((input) => this.evaluate(input)),
      node: tensor.node,
      run: this,
    });
    tensor.node.outputs.forEach((output, index) => {
      this.set(output, values[index]!);
    });
    this.values.set(tensor.node, values);
    return values[tensor.index]!;
  }

  /** Gives a tensor its value, and the names in its shape their sizes. */
  set(tensor: Tensor, value: NumericArray): void {
    this.values.set(tensor.node, [value]);
    if (tensor.rank !== value.shape.length) throw new Error(`${tensor} came out with shape [${value.shape}]`);
    tensor.shape.forEach((dim, axis) => {
      if (typeof dim === 'string' && !/[*+]/.test(dim)) this.sizes.set(dim, value.shape[axis]!);
    });
  }

  size(dim: Dim): number {
    return dimTerms(dim).reduce(
      (sum, { coefficient, names }) => sum + names.reduce((product, name) => product * this.named(name), coefficient),
      0,
    );
  }

  shape(shape: Shape): number[] {
    return shape.map((dim) => this.size(dim));
  }

  private named(name: string): number {
    const size = this.sizes.get(name) ?? this.parent?.named(name);
    if (size === undefined) throw new Error(`size ${name} is not known`);
    return size;
  }

  private known(node: Node): readonly NumericArray[] | undefined {
    return this.values.get(node) ?? this.parent?.known(node);
  }
}

/** Values of tensors, computed in float64 from the fed inputs. */
export function evaluateReference(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  feeds: ReferenceFeeds,
): NumericArray[] {
  const run = new Run(feeds);
  // All inputs first: sizes are read off them.
  for (const tensor of inputs) run.evaluate(tensor);
  return outputs.map((tensor) => run.evaluate(tensor));
}

const unary = ({ inputs: [x], node }: Application<UnaryOperator>) => [
  tabulate(x!.shape, (position) => unaryValues[node.operator as UnaryOperator](at(x!, position))),
];

const elementwise = (inputs: readonly NumericArray[], value: (...elements: number[]) => number) =>
  tabulate(broadcastShape(...inputs.map((input) => input.shape)), (position) =>
    value(...inputs.map((input) => atBroadcast(input, position))),
  );

const binary = ({ inputs, node }: Application<BinaryOperator>) => {
  const value = binaryValues[node.operator as BinaryOperator];
  const whole = node.outputs[0]!.dtype.includes('int');
  // Whole numbers divide towards zero.
  return [elementwise(inputs, (a, b) => (whole ? Math.trunc(value(a!, b!)) : value(a!, b!)))];
};

const compare = ({ inputs, node }: Application<CompareOperator>) => [
  elementwise(inputs, (a, b) => Number(compareValues[node.operator as CompareOperator](a!, b!))),
];

const reduce =
  (fold: (values: readonly number[]) => number): ReferenceRule<ReduceOperator> =>
  ({ attributes: { axes, keepDims }, inputs: [x] }) => {
    const kept = x!.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
    const groups = new Map<number, number[]>();
    for (const position of positionsOf(x!.shape)) {
      const key = placeOf(
        kept,
        position.map((index, axis) => (axes.includes(axis) ? 0 : index)),
      );
      groups.set(key, [...(groups.get(key) ?? []), at(x!, position)]);
    }
    const folded = tabulate(kept, (position) => fold(groups.get(placeOf(kept, position)) ?? []));
    return [{ shape: keepDims ? kept : x!.shape.filter((_, axis) => !axes.includes(axis)), data: folded.data }];
  };

/** The elements of `x` along one axis through a position. */
function alongAxis(x: NumericArray, axis: number, position: readonly number[]): number[] {
  return Array.from({ length: x.shape[axis]! }, (_, index) => at(x, replaced(position, axis, index)));
}

const argument =
  (better: (a: number, b: number) => boolean): ReferenceRule<ArgumentOperator> =>
  ({ attributes: { axis }, inputs: [x] }) => {
    const shape = x!.shape.filter((_, index) => index !== axis);
    return [
      tabulate(shape, (position) => {
        const line = alongAxis(x!, axis, position.toSpliced(axis, 0, 0));
        return line.reduce((best, value, index) => (better(value, line[best]!) ? index : best), 0);
      }),
    ];
  };

const logSoftmax = (x: NumericArray, axis: number, position: readonly number[]) => {
  const line = alongAxis(x, axis, position);
  const largest = Math.max(...line);
  return at(x, position) - largest - Math.log(line.reduce((sum, value) => sum + Math.exp(value - largest), 0));
};

/** An index counted from the end means what it means in ONNX. */
function fromStart(index: number, size: number): number {
  if (index < -size || index >= size) throw new RangeError(`index ${index} of ${size}`);
  return index < 0 ? index + size : index;
}

/** `x` with the positions of `updates` mapped into it. */
function scattered(
  base: NumericArray,
  updates: NumericArray,
  target: (position: number[]) => number[],
  combine: (old: number, update: number) => number,
): NumericArray {
  const data = base.data.slice();
  for (const position of positionsOf(updates.shape)) {
    const place = placeOf(base.shape, target(position));
    data[place] = combine(data[place]!, at(updates, position));
  }
  return { shape: base.shape, data };
}

function fresh(run: Run, part: Subgraph<Tensor>, inputs: readonly NumericArray[]): NumericArray[] {
  const inner = run.inner();
  part.inputs.forEach((input, index) => {
    inner.set(input, inputs[index]!);
  });
  return part.outputs.map((output) => inner.evaluate(output));
}

export const referenceRules: { readonly [K in OperatorName]: ReferenceRule<K> } = {
  input: ({ attributes: { name, scope }, run }) => {
    const value = run.feeds.inputs[name];
    if (scope || !value) throw new Error(`input ${name} is not fed`);
    return [value];
  },
  weight: ({ attributes: { type, location }, run }) => {
    const bytes = run.feeds.files?.[location.file]?.slice(location.offset, location.offset + location.byteLength);
    if (!bytes) throw new Error(`no file ${location.file}`);
    const ArrayType = dtypes[type.dtype].array as Float64ArrayConstructor;
    return [numericArray(type.shape as number[], new ArrayType(bytes.buffer))];
  },
  constant: ({ attributes: { type, data } }) => [numericArray(type.shape as number[], data)],
  dimension: ({ attributes: { dim }, run }) => [scalarArray(run.size(dim))],
  loop: ({ attributes: { body, states }, inputs: [turns, ...initial], node, run }) => {
    let current: readonly NumericArray[] = initial;
    const stacked: NumericArray[][] = node.outputs.slice(states).map(() => []);
    for (let turn = 0; turn < turns!.data[0]!; turn++) {
      const [proceed, ...results] = fresh(run, body, [scalarArray(turn), scalarArray(1), ...current]);
      current = results.slice(0, states);
      results.slice(states).forEach((value, index) => {
        stacked[index]!.push(value);
      });
      if (proceed!.data[0] === 0) break;
    }
    const stacks = stacked.map((parts, index) => {
      const shape = parts[0]?.shape ?? run.shape(node.outputs[states + index]!.shape.slice(1));
      return numericArray(
        [parts.length, ...shape],
        parts.flatMap((part) => [...part.data]),
      );
    });
    return [...current, ...stacks];
  },
  cond: ({ attributes: { whenTrue, whenFalse }, inputs: [condition], run }) =>
    fresh(run, condition!.data[0] ? whenTrue : whenFalse, []),
  stopGradient: ({ inputs: [x] }) => [x!],

  negate: unary,
  absolute: unary,
  exponential: unary,
  logarithm: unary,
  squareRoot: unary,
  reciprocal: unary,
  sine: unary,
  cosine: unary,
  hyperbolicTangent: unary,
  sigmoid: unary,
  silu: unary,
  errorFunction: unary,
  floor: unary,
  ceiling: unary,
  round: unary,
  sign: unary,
  add: binary,
  subtract: binary,
  multiply: binary,
  divide: binary,
  power: binary,
  minimum: binary,
  maximum: binary,
  equal: compare,
  less: compare,
  lessOrEqual: compare,
  greater: compare,
  greaterOrEqual: compare,
  and: ({ inputs }) => [elementwise(inputs, (a, b) => Number(a !== 0 && b !== 0))],
  or: ({ inputs }) => [elementwise(inputs, (a, b) => Number(a !== 0 || b !== 0))],
  not: ({ inputs }) => [elementwise(inputs, (x) => Number(x === 0))],
  where: ({ inputs }) => [elementwise(inputs, (condition, a, b) => (condition ? a! : b!))],
  cast: ({ attributes: { to }, inputs: [x] }) => [
    tabulate(x!.shape, (position) => {
      const value = at(x!, position);
      if (to === 'bool') return Number(value !== 0);
      return to.includes('int') ? Math.trunc(value) : value;
    }),
  ],
  gelu: ({ attributes: { approximate }, inputs: [x] }) => [
    tabulate(x!.shape, (position) => geluValue(at(x!, position), approximate)),
  ],

  matmul: ({ attributes: { transposeA, transposeB }, inputs: [a, b] }) => {
    const [rows, inner] = transposeA ? [a!.shape.at(-1)!, a!.shape.at(-2)!] : [a!.shape.at(-2)!, a!.shape.at(-1)!];
    const columns = transposeB ? b!.shape.at(-2)! : b!.shape.at(-1)!;
    const batch = broadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
    const read = (x: NumericArray, position: readonly number[], row: number, column: number) => {
      const lead = x.shape.slice(0, -2);
      const own = position
        .slice(batch.length - lead.length, batch.length)
        .map((index, axis) => (lead[axis] === 1 ? 0 : index));
      return at(x, [...own, row, column]);
    };
    return [
      tabulate([...batch, rows, columns], (position) => {
        const [row, column] = position.slice(-2) as [number, number];
        let sum = 0;
        for (let k = 0; k < inner; k++) {
          const left = transposeA ? read(a!, position, k, row) : read(a!, position, row, k);
          sum += left * (transposeB ? read(b!, position, column, k) : read(b!, position, k, column));
        }
        return sum;
      }),
    ];
  },
  softmax: ({ attributes: { axis }, inputs: [x] }) => [
    tabulate(x!.shape, (position) => Math.exp(logSoftmax(x!, axis, position))),
  ],
  logSoftmax: ({ attributes: { axis }, inputs: [x] }) => [
    tabulate(x!.shape, (position) => logSoftmax(x!, axis, position)),
  ],
  reduceSum: reduce((values) => values.reduce((a, b) => a + b, 0)),
  reduceMean: reduce((values) => values.reduce((a, b) => a + b, 0) / values.length),
  reduceMax: reduce((values) => Math.max(...values)),
  reduceMin: reduce((values) => Math.min(...values)),
  argMax: argument((a, b) => a > b),
  argMin: argument((a, b) => a < b),
  cumulativeSum: ({ attributes: { axis, exclusive, reverse }, inputs: [x] }) => [
    tabulate(x!.shape, (position) => {
      const own = position[axis]!;
      return alongAxis(x!, axis, position).reduce((sum, value, index) => {
        const before = reverse ? index > own : index < own;
        return before || (index === own && !exclusive) ? sum + value : sum;
      }, 0);
    }),
  ],

  reshape: ({ attributes: { shape }, inputs: [x], run }) => [numericArray(run.shape(shape), x!.data)],
  transpose: ({ attributes: { permutation }, inputs: [x] }) => [
    tabulate(
      permutation.map((axis) => x!.shape[axis]!),
      (position) =>
        at(
          x!,
          x!.shape.map((_, axis) => position[permutation.indexOf(axis)]!),
        ),
    ),
  ],
  slice: ({ attributes: { axis, start, length, step }, inputs: [x], run }) => {
    const [first, count] = [run.size(start), run.size(length)];
    return [
      tabulate(replaced(x!.shape, axis, count), (position) =>
        at(x!, replaced(position, axis, first + position[axis]! * step)),
      ),
    ];
  },
  concat: ({ attributes: { axis }, inputs }) => {
    const sizes = inputs.map((input) => input.shape[axis]!);
    const whole = sizes.reduce((a, b) => a + b, 0);
    return [
      tabulate(replaced(inputs[0]!.shape, axis, whole), (position) => {
        let index = position[axis]!;
        let part = 0;
        while (index >= sizes[part]!) index -= sizes[part++]!;
        return at(inputs[part]!, replaced(position, axis, index));
      }),
    ];
  },
  pad: ({ attributes: { before, after, value }, inputs: [x] }) => [
    tabulate(
      x!.shape.map((size, axis) => before[axis]! + size + after[axis]!),
      (position) => {
        const inner = position.map((index, axis) => index - before[axis]!);
        const inside = inner.every((index, axis) => index >= 0 && index < x!.shape[axis]!);
        return inside ? at(x!, inner) : value;
      },
    ),
  ],
  expand: ({ attributes: { shape }, inputs: [x], run }) => [
    tabulate(run.shape(shape), (position) => atBroadcast(x!, position)),
  ],
  gather: ({ attributes: { axis }, inputs: [x, indices] }) => [
    tabulate(x!.shape.toSpliced(axis, 1, ...indices!.shape), (position) => {
      const index = at(indices!, position.slice(axis, axis + indices!.shape.length));
      return at(x!, position.toSpliced(axis, indices!.shape.length, fromStart(index, x!.shape[axis]!)));
    }),
  ],
  gatherElements: ({ attributes: { axis }, inputs: [x, indices] }) => [
    tabulate(indices!.shape, (position) =>
      at(x!, replaced(position, axis, fromStart(at(indices!, position), x!.shape[axis]!))),
    ),
  ],
  scatterElements: ({ attributes: { axis, reduction }, inputs: [base, indices, updates] }) => [
    scattered(
      base!,
      updates!,
      (position) => replaced(position, axis, fromStart(at(indices!, position), base!.shape[axis]!)),
      (old, update) => (reduction === 'add' ? old + update : update),
    ),
  ],
  indexAdd: ({ attributes: { axis }, inputs: [base, indices, updates] }) => [
    scattered(
      base!,
      updates!,
      (position) => replaced(position, axis, fromStart(at(indices!, [position[axis]!]), base!.shape[axis]!)),
      (old, update) => old + update,
    ),
  ],
  oneHot: ({ attributes: { depth }, inputs: [indices] }) => [
    tabulate([...indices!.shape, depth], (position) => {
      const index = at(indices!, position.slice(0, -1));
      return Number((index < 0 ? index + depth : index) === position.at(-1));
    }),
  ],
  topK: ({ attributes: { axis, k, largest }, inputs: [x, count] }) => {
    const kept = count ? count.data[0]! : (k as number);
    const shape = replaced(x!.shape, axis, kept);
    const ranked = (position: readonly number[]) =>
      alongAxis(x!, axis, replaced(position, axis, 0))
        .map((value, index) => ({ value, index }))
        .sort((a, b) => (largest ? b.value - a.value : a.value - b.value) || a.index - b.index)[position[axis]!]!;
    return [
      tabulate(shape, (position) => ranked(position).value),
      tabulate(shape, (position) => ranked(position).index),
    ];
  },

  conv2d: ({ attributes, inputs: [x, weight, bias] }) => [convolution(x!, weight!, bias, attributes)],
  convTranspose2d: ({ attributes, inputs: [x, weight] }) => [transposedConvolution(x!, weight!, attributes)],
  groupNorm: ({ attributes: { groups, epsilon }, inputs: [x, scale, bias] }) => {
    const perGroup = x!.shape[1]! / groups;
    const normal = standardized(x!, ([image, channel]) => `${image} ${Math.floor(channel! / perGroup)}`, epsilon, true);
    return [
      tabulate(x!.shape, (position) => at(normal, position) * at(scale!, [position[1]!]) + at(bias!, [position[1]!])),
    ];
  },
  layerNorm: ({ attributes: { epsilon }, inputs: [x, scale, bias] }) => {
    const normal = standardized(x!, (position) => position.slice(0, -1).join(), epsilon, true);
    return [
      tabulate(x!.shape, (position) => {
        const channel = position.slice(-1);
        return at(normal, position) * at(scale!, channel) + (bias ? at(bias, channel) : 0);
      }),
    ];
  },
  rmsNorm: ({ attributes: { epsilon }, inputs: [x, scale] }) => {
    const normal = standardized(x!, (position) => position.slice(0, -1).join(), epsilon, false);
    return [tabulate(x!.shape, (position) => at(normal, position) * at(scale!, position.slice(-1)))];
  },
  resizeNearest: ({ attributes: { scale }, inputs: [x] }) => {
    const [batch, channels, height, width] = x!.shape as [number, number, number, number];
    return [
      tabulate([batch, channels, height * scale, width * scale], ([image, channel, row, column]) =>
        at(x!, [image!, channel!, Math.floor(row! / scale), Math.floor(column! / scale)]),
      ),
    ];
  },
  resizeBilinear: ({ attributes: { height, width }, inputs: [x] }) => [bilinear(x!, height, width)],
  rotaryEmbedding: ({ inputs: [x, cosine, sine, positions] }) => [rotated(x!, cosine!, sine!, positions!)],
  packedAttention: ({ attributes, inputs }) => packedCausalAttention(inputs as Five, attributes),
  groupedQueryAttention: ({ attributes, inputs }) => causalAttention(inputs as Five, attributes),
};
