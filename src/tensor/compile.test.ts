/** What the compiler writes down, shares, and refuses. */
import { describe, expect, it } from 'vitest';
import { numericArray } from '../../test/tensor/array.ts';
import { checkProgram } from '../../test/tensor/check-program.ts';
import { graphOf, operatorsOf } from '../../test/tensor/model.ts';
import {
  add,
  cast,
  compile,
  constant,
  dimension,
  exponential,
  full,
  input,
  loop,
  multiply,
  negate,
  pad,
  reshape,
  type Tensor,
  TensorError,
  transpose,
  weight,
} from './index.ts';

const x = input('x', 'float32', ['n', 2]);
const y = input('y', 'float32', ['n', 2]);
const program = (inputs: readonly Tensor[], outputs: Readonly<Record<string, Tensor>>) => () =>
  compile({ name: 'p', inputs, outputs });

describe('compile', () => {
  it('tells inputs and outputs', () => {
    const { name, inputs, outputs } = compile({
      name: 'sum',
      inputs: [x, y],
      outputs: { sum: add(x, y), turned: transpose(x, [1, 0]), whole: cast(x, 'int64'), rows: dimension('2*n') },
    });
    expect(name).toBe('sum');
    expect(inputs).toEqual([
      { name: 'x', dtype: 'float32', shape: ['n', 2] },
      { name: 'y', dtype: 'float32', shape: ['n', 2] },
    ]);
    expect(outputs).toEqual([
      { name: 'sum', dtype: 'float32', shape: ['n', 2] },
      { name: 'turned', dtype: 'float32', shape: [2, 'n'] },
      { name: 'whole', dtype: 'int64', shape: ['n', 2] },
      { name: 'rows', dtype: 'int64', shape: [] },
    ]);
  });

  it('passes inputs and constants through, and gives one tensor under two names', async () => {
    const sum = add(x, 1);
    const outputs = { same: x, fixed: constant('float32', [2], [1, 2]), one: sum, two: sum };
    await checkProgram([x], outputs, { x: numericArray([1, 2], [3, 4]) });
  });

  it('lets users choose names that it might have made itself', async () => {
    const a = input('constant.0', 'float32', [2]);
    const b = input('Add.1', 'float32', [2]);
    const product = multiply(add(add(add(a, b), 2), 3), 4);
    const outputs = { 'Add.2': product, 'Mul.3': negate(product), 'Add.4': exponential(a) };
    const feeds = { 'constant.0': numericArray([2], [1, 2]), 'Add.1': numericArray([2], [3, 4]) };
    await checkProgram([a, b], outputs, feeds);
  });

  it.each([
    [
      'an input that was left out',
      program([x], { z: add(x, y) }),
      'compile: program p reads y: float32[n, 2], which is not among its inputs',
    ],
    [
      'another input of the same name',
      program([input('x', 'float32', ['n', 2])], { z: add(x, x) }),
      'program p reads x',
    ],
    [
      'two inputs of one name',
      program([x, input('x', 'float32', [3])], { z: x }),
      'compile: program p has two inputs named x',
    ],
    ['the same input twice', program([x, x], { z: x }), 'program p has two inputs named x'],
    [
      'an output named like an input',
      program([x], { x: negate(x) }),
      'compile: program p has an input and an output named x',
    ],
    [
      'a port without a name',
      program([x], { '': negate(x) }),
      'compile: program p has an input or output without a name',
    ],
    ['a result among the inputs', program([negate(x)], { z: x }), 'compile: negate: float32[n, 2] is not an input'],
    [
      'a size that nothing tells',
      program([x], { z: full('float32', ['m'], 1) }),
      'expand: no input of the program has an axis of size "m"',
    ],
    [
      'a size that only a sum has',
      program([input('a', 'float32', ['m+1'])], { z: dimension('m') }),
      'dimension: no input of the program has an axis of size "m"',
    ],
  ])('refuses %s', (_, build, message) => {
    expect(build).toThrow(message);
    expect(build).toThrow(TensorError);
  });

  it("refuses a loop's state as an input", () => {
    let state: Tensor | undefined;
    loop({ turns: 1, states: [{ name: 's', initial: x }] }, (_turn, s) => {
      state = s;
      return { states: [s!] };
    });
    expect(program([state!], { z: state! })).toThrow("s: float32[n, 2] is a loop's state, not an input of program p");
  });
});

describe('sharing', () => {
  it('writes equal nodes once, and what hangs on them', () => {
    const twice = () => exponential(multiply(reshape(x, ['2*n']), 3));
    const graph = graphOf(compile({ name: 'p', inputs: [x], outputs: { z: add(twice(), twice()) } }));
    expect(operatorsOf(graph)).toEqual(['Add', 'Exp', 'Mul', 'Reshape']);
  });

  it('tells operands and attributes apart', async () => {
    const outputs = {
      a: transpose(reshape(x, ['n', 2, 1]), [2, 1, 0]),
      b: transpose(reshape(x, ['n', 2, 1]), [2, 0, 1]),
      up: pad(x, [0, 0], [1, 0], Infinity),
      down: pad(x, [0, 0], [1, 0], -Infinity),
      zero: pad(x, [0, 0], [1, 0], 0),
      whole: cast(x, 'int64'),
      half: cast(x, 'int32'),
    };
    await checkProgram([x], outputs, { x: numericArray([3, 2], [1, 2, 3, 4, 5, 6]) });
  });

  it('tells 0 from −0, whichever comes first', async () => {
    const one = constant('float32', [2], [1, -1]);
    const over = (zero: number) => multiply(one, constant('float32', [1], [zero]));
    const outputs = { a: over(-0), b: over(0), c: over(-0) };
    const { results } = await checkProgram([], outputs, {});
    const signs = (name: string) => [...results[name]!.data].map((value) => Object.is(value, -0));
    expect(signs('a')).toEqual([true, false]);
    expect(signs('b')).toEqual([false, true]);
    expect(signs('c')).toEqual([true, false]);
  });

  it('writes equal small constants once', () => {
    const three = () => constant('float32', [2], [3, 3]);
    const graph = graphOf(
      compile({
        name: 'p',
        inputs: [x],
        outputs: { z: multiply(add(multiply(x, three()), three()), constant('float32', [2], [3, 4])) },
      }),
    );
    expect(graph.initializer).toHaveLength(2);
  });

  it('loads a weight once, however often it is declared', async () => {
    const bytes = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
    const declare = (name: string, offset: number, shape: readonly number[]) =>
      weight(name, 'float32', shape, { file: 'w.bin', offset, byteLength: 8 });
    const tied = [declare('embedding', 0, [2]), declare('head', 0, [2])];
    const others = [declare('turned', 0, [1, 2]), declare('bias', 8, [2])];
    const sum = [...tied, ...others].reduce((state, parameter) => add(multiply(state, 2), parameter), x);
    const { program } = await checkProgram(
      [x],
      { sum },
      { x: numericArray([1, 2], [5, 6]) },
      { files: { 'w.bin': bytes } },
    );
    const weights = graphOf(program).initializer.filter(({ externalData }) => externalData.length > 0);
    expect(weights.map(({ dims }) => dims.map(Number))).toEqual([[2], [1, 2], [2]]);
  });
});
