/** Loops and branches: what they compute, and that they compute nothing twice or in vain. */
import { describe, expect, it } from 'vitest';
import { numericArray, scalarArray } from '../../test/tensor/array.ts';
import { checkProgram } from '../../test/tensor/check-program.ts';
import { graphOf, innerGraphsOf, operatorsOf } from '../../test/tensor/model.ts';
import { runProgram } from '../../test/tensor/session.ts';
import {
  add,
  cast,
  compile,
  concat,
  cond,
  constant,
  dimension,
  divide,
  expand,
  exponential,
  full,
  gather,
  gradients,
  greater,
  groupedQueryAttention,
  hyperbolicTangent,
  input,
  less,
  loop,
  matmul,
  multiply,
  normal,
  reduceMean,
  reduceSum,
  reshape,
  scalar,
  sine,
  slice,
  square,
  subtract,
  type Tensor,
  unsqueeze,
  weight,
} from './index.ts';

const values = (count: number, from = 1) => Array.from({ length: count }, (_, index) => from + index / 4);
const array = (shape: readonly number[], from?: number) =>
  numericArray(
    shape,
    values(
      shape.reduce((a, b) => a * b, 1),
      from,
    ),
  );
const noise = (shape: readonly number[], stream: number) =>
  numericArray(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => Math.fround(normal(3, stream, index))),
  );

describe('loop', () => {
  it('carries a state that grows, from nothing', async () => {
    const start = input('start', 'float32', [2, 'before']);
    const fresh = input('fresh', 'float32', [2, 1]);
    const turns = input('turns', 'int64', []);
    const { states } = loop({ turns, states: [{ name: 'seen', initial: start, shape: [2, 'seen'] }] }, (turn, seen) => {
      const next = add(multiply(fresh, cast(turn, 'float32')), cast(dimension('seen'), 'float32'));
      return { states: [concat([seen!, next], 1)] };
    });
    expect(states[0]!.shape).toEqual([2, 'seen@end']);
    const length = dimension('seen@end');
    const doubled = reshape(states[0]!, ['2*seen@end']);
    for (const [before, count] of [
      [0, 3],
      [2, 4],
      [3, 0],
      [0, 0],
    ] as const) {
      const feeds = { start: array([2, before]), fresh: array([2, 1], 3), turns: scalarArray(count) };
      const { results } = await checkProgram([start, fresh, turns], { seen: states[0]!, length, doubled }, feeds);
      expect(results.seen!.shape).toEqual([2, before + count]);
      expect(results.length!.data[0]).toBe(before + count);
    }
  });

  it('stops when the body says so, and stacks what the turns gave', async () => {
    const limit = input('limit', 'float32', []);
    const result = loop(
      { turns: 10, states: [{ name: 'sum', initial: scalar('float32', 0) }], stackedSize: 'done' },
      (turn, sum) => {
        const next = add(sum!, cast(turn, 'float32'));
        return { states: [next], stacked: [next, expand(reshape(turn, [1]), [2])], proceed: less(next, limit) };
      },
    );
    const outputs = {
      sum: result.states[0]!,
      sums: result.stacked[0]!,
      turns: result.stacked[1]!,
      done: dimension('done'),
    };
    expect([outputs.sums.shape, outputs.turns.shape]).toEqual([['done'], ['done', 2]]);
    for (const [bound, done] of [
      [9, 5],
      [0, 1],
      [1000, 10],
    ] as const) {
      const { results } = await checkProgram([limit], outputs, { limit: scalarArray(bound) });
      expect(results.done!.data[0]).toBe(done);
    }
  });

  it('runs no turn at all', async () => {
    const x = input('x', 'float32', [3, 2]);
    const { states, stacked } = loop({ turns: 0, states: [{ name: 's', initial: x }] }, (_turn, s) => ({
      states: [exponential(s!)],
      stacked: [slice(s!, 1, 0, 1)],
    }));
    const { results } = await checkProgram([x], { s: states[0]!, rows: stacked[0]! }, { x: array([3, 2]) });
    expect(results.rows!.shape).toEqual([0, 3, 1]);
  });

  it('passes states through and exchanges them', async () => {
    const [a, b] = [input('a', 'float32', [2]), input('b', 'float32', [2])];
    const { states } = loop(
      {
        turns: 3,
        states: [
          { name: 'a', initial: a },
          { name: 'b', initial: b },
        ],
      },
      (_turn, p, q) => ({
        states: [q!, p!],
      }),
    );
    const { results } = await checkProgram(
      [a, b],
      { first: states[0]!, second: states[1]! },
      { a: array([2]), b: array([2], 5) },
    );
    expect([...results.first!.data]).toEqual([5, 5.25]);
  });

  it('computes outside what does not change from turn to turn', () => {
    const x = input('x', 'float32', [2, 2]);
    const w = weight('w', 'bfloat16', [2, 2], { file: 'w.bin', offset: 0, byteLength: 8 });
    const { states } = loop({ turns: 5, states: [{ name: 's', initial: x }] }, (turn, s) => {
      const kernel = cast(w, 'float32');
      const rate = exponential(reduceSum(multiply(x, 3)));
      const changing = sine(cast(turn, 'float32'));
      return { states: [multiply(add(matmul(s!, kernel), rate), changing)] };
    });
    const graph = graphOf(compile({ name: 'hoisted', inputs: [x], outputs: { s: states[0]! } }));
    const [body] = innerGraphsOf(graph);
    expect(operatorsOf(body!)).toEqual(['Add', 'Cast', 'MatMul', 'Mul', 'Sin']);
    expect(operatorsOf(graph)).toEqual(['Cast', 'Exp', 'Loop', 'Mul', 'ReduceSum']);
    // Weights and constants belong to the program: a body's own would be copied for each turn.
    expect(body!.initializer).toEqual([]);
  });

  it('nests: the inner loop reads the outer state and hoists to its own level', async () => {
    const x = input('x', 'float32', ['n']);
    const outer = loop({ turns: 3, states: [{ name: 'outer', initial: x }] }, (_turn, state) => {
      const inner = loop({ turns: 2, states: [{ name: 'inner', initial: state! }] }, (turn, deep) => {
        const everywhere = exponential(multiply(x, -1));
        const eachOuterTurn = hyperbolicTangent(state!);
        return { states: [add(multiply(deep!, eachOuterTurn), multiply(everywhere, cast(turn, 'float32')))] };
      });
      return { states: [inner.states[0]!] };
    });
    const { program } = await checkProgram([x], { y: outer.states[0]! }, { x: array([3], 0) });
    const graph = graphOf(program);
    const [middle] = innerGraphsOf(graph);
    const [inner] = innerGraphsOf(middle!);
    expect(operatorsOf(graph)).toEqual(['Exp', 'Loop', 'Mul']);
    expect(operatorsOf(middle!)).toEqual(['Loop', 'Tanh']);
    expect(operatorsOf(inner!)).toEqual(['Add', 'Cast', 'Mul', 'Mul']);
  });

  it('grows caches of attention as generation does: many tokens first, then one a turn', async () => {
    const sizes = { heads: 4, keyValueHeads: 2, scale: 0.35 };
    const x = input('x', 'float32', ['rows', 'prompt', 32]);
    const cache = input('cache', 'float32', ['rows', 2, 'past', 8]);
    const attend = (tokens: Tensor, key: Tensor, value: Tensor) =>
      groupedQueryAttention(tokens, slice(tokens, 2, 0, 16), slice(tokens, 2, 16), { key, value }, sizes);
    const first = attend(x, cache, cache);
    const last = slice(first.output, 1, 'prompt+-1');
    const { states, stacked } = loop(
      {
        turns: 4,
        states: [
          { name: 'token', initial: last },
          { name: 'key', initial: first.cache.key, shape: ['rows', 2, 'now', 8] },
          { name: 'value', initial: first.cache.value, shape: ['rows', 2, 'now', 8] },
        ],
      },
      (_turn, token, key, value) => {
        const result = attend(sine(token!), key!, value!);
        return { states: [result.output, result.cache.key, result.cache.value], stacked: [result.output] };
      },
    );
    for (const [rows, prompt, past] of [
      [1, 3, 0],
      [2, 5, 0],
      [1, 2, 3],
      [2, 1, 2],
    ] as const) {
      const feeds = { x: noise([rows, prompt, 32], 1), cache: noise([rows, 2, past, 8], 2) };
      const { results } = await checkProgram([x, cache], { all: stacked[0]!, keys: states[1]! }, feeds);
      expect(results.keys!.shape).toEqual([rows, 2, prompt + past + 4, 8]);
    }
  });

  it('refuses a name for a changing size that already means another', () => {
    const x = input('x', 'float32', ['n', 2]);
    const grow = (initial: Tensor, name: string) =>
      loop({ turns: 2, states: [{ name: 's', initial, shape: [name, 2] }] }, (_turn, s) => {
        const size = cast(dimension(name), 'float32');
        return { states: [concat([s!, expand(reshape(size, [1, 1]), [1, 2])], 0)] };
      }).states[0]!;
    const build = (y: Tensor) => () => compile({ name: 'p', inputs: [x], outputs: { y } });
    const m = input('m', 'float32', ['m', 2]);
    expect(() => compile({ name: 'p', inputs: [x, m], outputs: { y: grow(x, 'm') } })).toThrow(
      '"m" of state s: float32[m, 2] also names a size of m: float32[m, 2]: take another name',
    );
    const twice = grow(grow(x, 'now'), 'now');
    expect(build(twice)).toThrow('"now" of state s: float32[now, 2] also names a size of s');
    expect(build(grow(grow(x, 'now'), 'then'))).not.toThrow();
  });

  it('refuses a state that is used outside of its loop', () => {
    const x = input('x', 'float32', [2]);
    let leaked: Tensor | undefined;
    const { states } = loop({ turns: 2, states: [{ name: 'secret', initial: x }] }, (_turn, s) => {
      leaked = exponential(s!);
      return { states: [leaked] };
    });
    const outputs = { y: add(states[0]!, leaked!) };
    expect(() => compile({ name: 'p', inputs: [x], outputs })).toThrow(
      "hangs on a loop's state but is used outside of the loop",
    );
  });

  it('learns: a training step, gradients included, is the body', async () => {
    const x = input('x', 'float32', ['n', 2]);
    const target = input('target', 'float32', ['n']);
    const start = input('start', 'float32', [2]);
    const rate = constant('float32', [], [0.125]);
    const { states, stacked } = loop({ turns: 12, states: [{ name: 'w', initial: start }] }, (_turn, w) => {
      const predicted = reduceSum(multiply(x, w!), { axes: [1] });
      const loss = reduceMean(square(subtract(hyperbolicTangent(predicted), target)));
      const [gradient] = gradients(loss, [w!]);
      return { states: [subtract(w!, multiply(gradient!, rate))], stacked: [loss] };
    });
    const feeds = {
      x: numericArray([4, 2], [1, 2, -1, 0.5, 0.25, -2, -0.5, -1]),
      target: numericArray([4], [0.5, -0.25, -0.75, 0]),
      start: numericArray([2], [0.1, -0.2]),
    };
    const { results } = await checkProgram([x, target, start], { w: states[0]!, losses: stacked[0]! }, feeds);
    const losses = [...results.losses!.data];
    expect(losses.every((loss, turn) => turn === 0 || loss < losses[turn - 1]!)).toBe(true);
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 2);
  });
});

describe('cond', () => {
  const x = input('x', 'float32', ['n']);
  const flag = input('flag', 'bool', []);

  it('computes only the branch that is taken', async () => {
    // A reshape to [2, 3] fails while running for any number of elements but 6.
    const index = cast(reduceSum(multiply(x, 0)), 'int64');
    const [y] = cond(flag, {
      whenTrue: () => [gather(x, add(index, 5))],
      whenFalse: () => [reduceSum(x)],
    });
    const program = compile({ name: 'p', inputs: [flag, x], outputs: { y: y! } });
    const three = { x: array([3]) };
    expect((await runProgram(program, { ...three, flag: scalarArray(0) })).y!.data[0]).toBe(3.75);
    await expect(runProgram(program, { ...three, flag: scalarArray(1) })).rejects.toThrow(/[Ii]ndex|indices/);
    expect((await runProgram(program, { x: array([6]), flag: scalarArray(1) })).y!.data[0]).toBe(2.25);
  });

  it('keeps a branch of its own for what only it uses, and computes outside what both use', () => {
    const shared = exponential(x);
    const [y] = cond(flag, {
      whenTrue: () => [sine(shared)],
      whenFalse: () => [hyperbolicTangent(multiply(shared, 2))],
    });
    const graph = graphOf(compile({ name: 'p', inputs: [flag, x], outputs: { y: y! } }));
    const [whenTrue, whenFalse] = innerGraphsOf(graph);
    expect(operatorsOf(graph)).toEqual(['Exp', 'If']);
    expect(operatorsOf(whenTrue!)).toEqual(['Sin']);
    expect(operatorsOf(whenFalse!)).toEqual(['Mul', 'Tanh']);
  });

  it('gives tensors of sizes that differ, under a name', async () => {
    const [y, z] = cond(
      flag,
      { whenTrue: () => [concat([x, x], 0), x], whenFalse: () => [slice(x, 0, 0, 1), exponential(x)] },
      [['m'], ['n']],
    );
    expect([y!.shape, z!.shape]).toEqual([['m'], ['n']]);
    const outputs = {
      y: y!,
      z: z!,
      size: dimension('m'),
      squares: multiply(unsqueeze(y!, 1), full('float32', ['m', 'm'], 2)),
    };
    for (const taken of [0, 1]) {
      const { results } = await checkProgram([flag, x], outputs, { flag: scalarArray(taken), x: array([3]) });
      expect(results.size!.data[0]).toBe(taken ? 6 : 1);
    }
  });

  it('passes values from outside through a branch', async () => {
    const [a, b] = cond(flag, { whenTrue: () => [x, x], whenFalse: () => [full('float32', ['n'], 3), x] });
    for (const taken of [0, 1]) {
      await checkProgram([flag, x], { a: a!, b: b! }, { flag: scalarArray(taken), x: array([3]) });
    }
  });

  it('stands in a loop: each turn takes its branch, and what needs no turn stays outside of the loop', async () => {
    const total = input('total', 'float32', []);
    const { states } = loop({ turns: 6, states: [{ name: 's', initial: total }] }, (turn, s) => {
      const invariant = exponential(multiply(total, 0.125));
      const [next] = cond(greater(subtract(s!, invariant), 4), {
        whenTrue: () => [divide(s!, 2)],
        whenFalse: () => [add(add(multiply(s!, invariant), cast(turn, 'float32')), sine(total))],
      });
      return { states: [next!] };
    });
    const { program } = await checkProgram([total], { s: states[0]! }, { total: scalarArray(1.5) });
    const [body] = innerGraphsOf(graphOf(program));
    const branches = innerGraphsOf(body!);
    expect(operatorsOf(graphOf(program))).toEqual(['Exp', 'Loop', 'Mul']);
    expect(operatorsOf(body!)).toEqual(['Greater', 'If', 'Sub']);
    expect(operatorsOf(branches[0]!)).toEqual(['Div']);
    // Sine too needs no turn, but it is the branch's alone: outside it would be computed even if the branch is never taken.
    expect(operatorsOf(branches[1]!)).toEqual(['Add', 'Add', 'Cast', 'Mul', 'Sin']);
  });

  it('has copies of its own of the weights that it alone uses inside of a loop', async () => {
    const files = {
      'w.bin': new Uint8Array(Float32Array.of(1, 2, 3, 4, 0.5, -1, 2, 0.25).buffer),
      'whole.bin': Uint8Array.of(1, 255, 0, 2),
    };
    const at = (offset: number) => ({ file: 'w.bin', offset, byteLength: 16 });
    const alone = weight('alone', 'float32', [2, 2], at(0));
    const shared = weight('shared', 'float32', [2, 2], at(16));
    const short = cast(weight('short', 'int8', [2, 2], { file: 'whole.bin', offset: 0, byteLength: 4 }), 'float32');
    const rows = input('rows', 'float32', ['n', 2]);
    const { states } = loop({ turns: 3, states: [{ name: 's', initial: rows }] }, (turn, s) => {
      const [next] = cond(greater(turn, scalar('int64', 0)), {
        whenTrue: () => [matmul(matmul(s!, alone, { transposeB: true }), short, { transposeB: true })],
        whenFalse: () => [matmul(s!, shared)],
      });
      return { states: [next!] };
    });
    const outputs = { s: states[0]!, other: matmul(rows, shared) };
    const feeds = { rows: numericArray([1, 2], [0.5, -0.25]) };
    const { program } = await checkProgram([rows], outputs, feeds, { files });
    const whole = graphOf(program);
    const [whenTrue, whenFalse] = innerGraphsOf(innerGraphsOf(whole)[0]!);
    expect(operatorsOf(whenTrue!)).toEqual(['Cast', 'Concat', 'FusedMatMul', 'FusedMatMul']);
    expect(operatorsOf(whenFalse!)).toEqual(['MatMul']);
    expect(operatorsOf(whole)).toEqual(['Loop', 'MatMul']);
    // onnxruntime-web reads files for the program's own weights alone.
    expect(whole.initializer.filter(({ externalData }) => externalData.length > 0)).toHaveLength(3);
  });

  it('holds a loop in one branch, which reads the outer sizes', async () => {
    const [y] = cond(flag, {
      whenTrue: () => [
        loop({ turns: 3, states: [{ name: 's', initial: x }] }, (_turn, s) => ({
          states: [add(multiply(s!, 0.5), full('float32', ['n'], 1))],
        })).states[0]!,
      ],
      whenFalse: () => [x],
    });
    for (const taken of [0, 1]) {
      await checkProgram([flag, x], { y: y! }, { flag: scalarArray(taken), x: array([4]) });
    }
  });
});
