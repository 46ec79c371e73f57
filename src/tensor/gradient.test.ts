/** What `gradients` asks of the program as a whole; each operator's own rule is checked in operators.test.ts. */
import { describe, expect, it } from 'vitest';
import { numericArray, scalarArray } from '../../test/tensor/array.ts';
import { centralDifferences, expectClose } from '../../test/tensor/check-case.ts';
import { checkProgram } from '../../test/tensor/check-program.ts';
import { countOperators, graphOf, operatorsOf } from '../../test/tensor/model.ts';
import { runProgram, TestSession } from '../../test/tensor/session.ts';
import {
  add,
  argMax,
  cast,
  compile,
  conv2d,
  divide,
  exponential,
  full,
  gather,
  gradients,
  indexAdd,
  input,
  loop,
  matmul,
  maximum,
  minimum,
  multiply,
  power,
  reduceMax,
  reduceMin,
  reduceSum,
  rmsNorm,
  rotaryEmbedding,
  sigmoid,
  silu,
  slice,
  softmax,
  square,
  stopGradient,
  subtract,
  type Tensor,
  topK,
  weight,
} from './index.ts';

const x = input('x', 'float32', [3]);
const y = input('y', 'float32', [3]);

/** Gradients of the sum of `value` by x, or by x and y, for the fed values. */
async function gradientsOf(value: Tensor, ...feeds: number[][]): Promise<number[][]> {
  const sources = [x, y].slice(0, feeds.length);
  const found = gradients(reduceSum(value), sources);
  const names = ['gx', 'gy'].slice(0, feeds.length);
  const program = compile({
    name: 'gradient',
    inputs: sources,
    outputs: Object.fromEntries(names.map((name, index) => [name, found[index]!])),
  });
  const arrays = Object.fromEntries(feeds.map((feed, index) => [['x', 'y'][index], numericArray([3], feed)]));
  const results = await runProgram(program, arrays);
  return names.map((name) => [...results[name]!.data]);
}

describe('gradients', () => {
  it('adds up what comes back along several ways', async () => {
    const shared = square(x);
    expect(await gradientsOf(add(multiply(shared, shared), multiply(x, 3)), [1, -2, 0.5])).toEqual([[7, -29, 3.5]]);
  });

  it('is 1 by the scalar itself, and known by what lies between', async () => {
    const middle = square(x);
    const scalar = reduceSum(multiply(middle, 2));
    const [byScalar, byMiddle, byX] = gradients(scalar, [scalar, middle, x]);
    const outputs = { byScalar: byScalar!, byMiddle: byMiddle!, byX: byX! };
    const { results } = await checkProgram([x], outputs, { x: numericArray([3], [1, 2, 3]) });
    expect([...results.byScalar!.data]).toEqual([1]);
    expect([...results.byMiddle!.data]).toEqual([2, 2, 2]);
    expect([...results.byX!.data]).toEqual([4, 8, 12]);
  });

  it('stops at stopGradient, and only there', async () => {
    expect(await gradientsOf(multiply(x, stopGradient(square(x))), [1, 2, -3])).toEqual([[1, 4, 9]]);
    expect(() => gradients(reduceSum(stopGradient(x)), [x])).toThrow(
      'gradients: the scalar does not depend on x: float32[3]',
    );
  });

  it('builds nothing for what is frozen', () => {
    const batch = input('batch', 'float32', ['n', 4]);
    const file = { file: 'w.bin', offset: 0, byteLength: 64 };
    const layers = Array.from({ length: 4 }, (_, index) => weight(`w${index}`, 'float32', [4, 4], file));
    const scale = weight('scale', 'float32', [4], { ...file, byteLength: 16 });
    const hidden = layers.map((layer, index) => [layer, index] as const);
    const forward = hidden.reduce(
      (state, [layer]) => silu(matmul(rmsNorm(state, scale, 1e-6), layer)),
      batch as Tensor,
    );
    const loss = reduceSum(square(forward));
    const products = (sources: readonly Tensor[]) => {
      const found = gradients(loss, sources);
      const outputs = Object.fromEntries(found.map((gradient, index) => [`g${index}`, gradient]));
      const graph = graphOf(compile({ name: 'p', inputs: [batch], outputs: { loss, ...outputs } }));
      return ['MatMul', 'FusedMatMul'].reduce((sum, type) => sum + countOperators(graph, type), 0);
    };
    // 4 products forward; then one for each layer on the way back and one for each gradient.
    expect(products([layers[3]!])).toBe(4 + 1);
    expect(products([layers[2]!])).toBe(4 + 2);
    expect(products([layers[0]!])).toBe(4 + 4);
    expect(products(layers)).toBe(4 + 4 + 3);
  });

  it('does not look into a loop that leads nowhere', () => {
    const frozen = loop({ turns: 3, states: [{ name: 's', initial: y }] }, (_turn, s) => ({
      states: [exponential(s!)],
    }));
    expect(() => gradients(reduceSum(multiply(x, frozen.states[0]!)), [x])).not.toThrow();
    expect(() => gradients(reduceSum(multiply(x, frozen.states[0]!)), [y])).toThrow('loop: has no gradient: unroll');
  });

  it('sees a source that a loop reads in place', () => {
    const { states } = loop({ turns: 3, states: [{ name: 's', initial: y }] }, (_turn, s) => ({
      states: [multiply(s!, x)],
    }));
    expect(() => gradients(reduceSum(states[0]!), [x])).toThrow('loop: has no gradient: unroll');
  });

  it('goes through a program that is deep', async () => {
    let deep: Tensor = x;
    for (let step = 0; step < 3000; step++) deep = multiply(deep, 1);
    expect(await gradientsOf(deep, [1, 2, 3])).toEqual([[1, 1, 1]]);
  });

  it('refuses what is no scalar, no number, or does not hang together', () => {
    expect(() => gradients(x, [x])).toThrow('gradients: needs a floating-point scalar, got x: float32[3]');
    expect(() => gradients(reduceSum(cast(x, 'int64')), [x])).toThrow(
      'gradients: needs a floating-point scalar, got reduceSum: int64[]',
    );
    expect(() => gradients(reduceSum(x), [x, y])).toThrow('gradients: the scalar does not depend on y: float32[3]');
    const position = cast(argMax(x, 0), 'float32');
    expect(() => gradients(position, [x])).toThrow('does not depend on x');
  });

  it('refuses what it cannot do, and says what to do instead', () => {
    const table = input('table', 'float32', [4, 2]);
    const tokens = input('tokens', 'float32', [1, 2, 4]);
    const places = input('places', 'int64', [1, 2]);
    const turned = reduceSum(rotaryEmbedding(tokens, table, table, places, 1));
    expect(() => gradients(turned, [table])).toThrow('rotaryEmbedding: has no gradient: its tables are not learned');
    const open = input('open', 'float32', [1, 1, 'height', 4]);
    const kernel = input('kernel', 'float32', [1, 1, 3, 3]);
    const sum = reduceSum(conv2d(open, kernel));
    expect(() => gradients(sum, [open])).toThrow('conv2d: its gradient needs a fixed picture size, got open');
    expect(() => gradients(sum, [kernel])).toThrow("conv2d: the weight's gradient needs fixed picture sizes");
  });
});

describe('gradients at kinks', () => {
  it('go to the first of two equal operands', async () => {
    const feeds = [
      [1, 2, 3],
      [1, 5, 0],
    ];
    expect(await gradientsOf(minimum(x, y), ...feeds)).toEqual([
      [1, 1, 0],
      [0, 0, 1],
    ]);
    expect(await gradientsOf(maximum(x, y), ...feeds)).toEqual([
      [1, 0, 1],
      [0, 1, 0],
    ]);
  });

  it('are shared evenly by all that reach an extreme', async () => {
    expect(await gradientsOf(reduceMax(x), [4, 4, 4])).toEqual([[1 / 3, 1 / 3, 1 / 3].map(Math.fround)]);
    expect(await gradientsOf(reduceMin(x), [1, 1, 4])).toEqual([[0.5, 0.5, 0]]);
  });

  it('go to the elements that topK chose', async () => {
    expect(await gradientsOf(multiply(topK(x, 2).values, 3), [2, 2, 2])).toEqual([[3, 3, 0]]);
  });

  it('stay finite where a power has base or exponent 0', async () => {
    expect(await gradientsOf(power(x, y), [0, 0, 2], [0, 2, 0])).toEqual([
      [0, 0, 0],
      [0, 0, Math.fround(Math.log(2))],
    ]);
  });
});

describe('gradients by repeated indices', () => {
  it('lose nothing on several threads', async () => {
    // ONNX Runtime's ScatterND adds slices in parallel; where indices repeat, sums got lost.
    const [rows, width, count] = [2, 2048, 4000];
    const indices = input('indices', 'int64', [count]);
    const added = indexAdd(full('float32', [rows, width], 0), indices, full('float32', [count, width], 1));
    const program = compile({ name: 'p', inputs: [indices], outputs: { added } });
    const feeds = {
      indices: numericArray(
        [count],
        Array.from({ length: count }, (_, index) => index % rows),
      ),
    };
    const session = await TestSession.create(program, { threads: 2 });
    for (let turn = 0; turn < 5; turn++) {
      const { added } = await session.run(feeds);
      expect(added!.data.every((value) => value === count / rows)).toBe(true);
    }
    await session.release();
  });

  it('reach an embedding table through a whole small model', async () => {
    const table = input('table', 'float32', [5, 4]);
    const head = input('head', 'float32', [5, 4]);
    const tokens = input('tokens', 'int64', ['batch', 'sequence']);
    const states = gather(table, tokens);
    const scores = matmul(states, states, { transposeB: true });
    const mixed = matmul(softmax(divide(scores, 2)), states);
    const logits = matmul(sigmoid(mixed), head, { transposeB: true });
    const loss = reduceSum(square(subtract(slice(logits, 2, 0, undefined, 2), 0.5)));
    const sources = [table, head];
    const [byTable, byHead] = gradients(loss, sources);
    const draw = (from: number) => Array.from({ length: 20 }, (_, index) => Math.fround(Math.sin(from + 1.7 * index)));
    const feeds = {
      table: numericArray([5, 4], draw(0)),
      head: numericArray([5, 4], draw(5)),
      tokens: numericArray([2, 4], [1, 3, 3, 0, 4, 1, 1, 1]),
    };
    const inputs = [table, head, tokens];
    const { results } = await checkProgram(inputs, { loss, byTable: byTable!, byHead: byHead! }, feeds);
    expectClose(results.byTable!, centralDifferences(loss, inputs, feeds, 'table'), 1e-4, 'by the table');
    expectClose(results.byHead!, centralDifferences(loss, inputs, feeds, 'head'), 1e-4, 'by the head');
  });
});

describe('gradients and the program they came from', () => {
  it('share what both compute', () => {
    const value = exponential(x);
    const loss = reduceSum(sigmoid(value));
    const [gradient] = gradients(loss, [x]);
    const graph = graphOf(compile({ name: 'p', inputs: [x], outputs: { loss, gradient: gradient! } }));
    const types = operatorsOf(graph);
    expect(types.filter((type) => type === 'Exp')).toHaveLength(1);
    expect(types.filter((type) => type === 'Sigmoid')).toHaveLength(1);
  });

  it('have gradients in turn', async () => {
    const [first] = gradients(reduceSum(multiply(square(x), x)), [x]);
    expect(await gradientsOf(first!, [1, -2, 0.5])).toEqual([[6, -12, 3]]);
  });

  it('take a scalar that is fed', async () => {
    const scale = input('scale', 'float32', []);
    const [gradient] = gradients(reduceSum(multiply(x, scale)), [scale]);
    const { results } = await checkProgram(
      [x, scale],
      { gradient: gradient! },
      { x: numericArray([3], [1, 2, 4]), scale: scalarArray(3) },
    );
    expect(results.gradient!.data[0]).toBe(7);
  });
});
