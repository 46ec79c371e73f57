/** What every runtime must do, in Node and in a browser: one suite, run on each. */
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from 'vitest';
import { DisposedError, RemoteTensor, RuntimeError, type WorkerRuntime } from '../../src/runtime/index.ts';
import { type DType, dtypes } from '../../src/tensor/dtype.ts';
import type { TensorValue } from '../../src/tensor/value.ts';
import {
  appendProgram,
  doubleProgram,
  identityProgram,
  linearProgram,
  port,
  powerProgram,
  program,
  reshapeProgram,
} from './programs.ts';

export interface RuntimeUnderTest {
  /** Shown in the name of the suite. */
  readonly name: string;
  create(): Promise<WorkerRuntime>;
}

export function vector(...elements: number[]): TensorValue {
  return { dtype: 'float32', shape: [elements.length], data: Float32Array.from(elements) };
}

function cube(shape: readonly [number, number, number], first: number): TensorValue {
  const length = shape[0] * shape[1] * shape[2];
  return { dtype: 'float32', shape, data: Float32Array.from({ length }, (_, index) => first + index) };
}

/** The feeds of a run of `powerProgram` that takes the given time or longer here; the first runs find out how. */
export async function slowFeeds(runtime: WorkerRuntime, size: number, milliseconds: number) {
  await using session = await runtime.load(powerProgram(size));
  const data = new Float32Array(size * size).fill(1 / size);
  const feeds = (trips: number) => ({
    x: { dtype: 'float32', shape: [size, size], data } as const,
    trips: { dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(trips)) } as const,
  });
  for (let trips = 8; ; ) {
    const start = performance.now();
    await session.run(feeds(trips));
    const took = performance.now() - start;
    if (took > milliseconds) return feeds(trips);
    trips = Math.ceil(trips * Math.min(8, (1.5 * milliseconds) / took + 0.5));
  }
}

/** Elements that tell types apart, with the extremes of each. */
const samples: Readonly<Partial<Record<DType, TensorValue['data']>>> = {
  float32: Float32Array.of(1.5, -0, Number.POSITIVE_INFINITY, 1e-45),
  float64: Float64Array.of(Math.PI, -0, Number.MAX_VALUE, 5e-324),
  float16: Uint16Array.of(0x3c00, 0x8000, 0x7c00, 0x0001),
  int64: BigInt64Array.of(0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)),
  int32: Int32Array.of(0, -1, 2 ** 31 - 1, -(2 ** 31)),
  int16: Int16Array.of(0, -1, 32767, -32768),
  int8: Int8Array.of(0, -1, 127, -128),
  uint8: Uint8Array.of(0, 1, 128, 255),
  bool: Uint8Array.of(0, 1, 1, 0),
};

export function testRuntime({ name, create }: RuntimeUnderTest): void {
  describe(`runtime contract: ${name}`, () => {
    let runtime: WorkerRuntime;
    beforeAll(async () => {
      runtime = await create();
    });
    afterAll(async () => {
      await runtime?.dispose();
    });

    describe('running', () => {
      test('computes all outputs, or those that were asked for', async () => {
        await using session = await runtime.load(doubleProgram());
        const all = await session.run({ x: vector(1, 2, 3) });
        expect(all).toEqual({ doubled: vector(2, 4, 6), negated: vector(-1, -2, -3) });
        const one = await session.run({ x: vector(4) }, { outputs: ['negated'] });
        expect(one).toEqual({ negated: vector(-4) });
        expectTypeOf(one).toEqualTypeOf<{ negated: TensorValue }>();
      });

      test('takes every length that a named size allows, none included', async () => {
        await using session = await runtime.load(doubleProgram());
        expect((await session.run({ x: vector() })).doubled).toEqual(vector());
        expect((await session.run({ x: vector(...Array(1000).fill(2)) })).doubled!.data[999]).toBe(4);
      });

      test.each(Object.keys(samples) as DType[])('carries %s bit for bit', async (dtype) => {
        await using session = await runtime.load(identityProgram(dtype), { keep: ['y'] });
        const x: TensorValue = { dtype, shape: [4], data: samples[dtype]! };
        const { y } = await session.run({ x });
        expect(y!.data).toBeInstanceOf(dtypes[dtype].array);
        expect(y).toEqual(x);
        await using uploaded = await runtime.upload(x);
        await using kept = (await session.run({ x: uploaded }, { keep: ['y'] })).y;
        expect(await kept.read()).toEqual(x);
      });

      test('refuses bfloat16 at its border with words that help', async () => {
        await expect(runtime.load(identityProgram('bfloat16'))).rejects.toThrow(/port x is bfloat16.*cast to float32/);
        const value: TensorValue = { dtype: 'bfloat16', shape: [1], data: Uint16Array.of(1) };
        await expect(runtime.upload(value)).rejects.toThrow(/bfloat16/);
      });

      test('copies feeds, so that the caller may change its arrays at once', async () => {
        await using session = await runtime.load(doubleProgram());
        const x = vector(1, 2, 3);
        const first = session.run({ x });
        const second = session.run({ x });
        x.data[0] = 100;
        expect((await first).doubled).toEqual(vector(2, 4, 6));
        expect((await second).doubled).toEqual(vector(2, 4, 6));
        expect(x.data.length).toBe(3);
      });

      test('hands buffers over when asked to, and refuses arrays that share theirs', async () => {
        await using session = await runtime.load(doubleProgram());
        const x = vector(1, 2);
        expect((await session.run({ x }, { transfer: true })).doubled).toEqual(vector(2, 4));
        expect(x.data.byteLength).toBe(0);
        const view = { ...vector(2, 3), data: new Float32Array([1, 2, 3]).subarray(1) };
        await expect(session.run({ x: view }, { transfer: true })).rejects.toThrow(/8 of 12 bytes/);
        expect((await session.run({ x: view })).doubled).toEqual(vector(4, 6));
      });

      test('gives results that nobody else writes to, and that outlive the runtime', async () => {
        const other = await create();
        const session = await other.load(doubleProgram());
        const x: TensorValue = { dtype: 'float32', shape: [100_000], data: new Float32Array(100_000).fill(1) };
        const first = (await session.run({ x })).doubled!;
        for (let index = 0; index < 5; index++) await session.run({ x: { ...x, data: x.data.slice() } });
        await other.dispose();
        expect(first.data.every((element) => element === 2)).toBe(true);
      });

      test('answers calls made at the same time in order, over all sessions', async () => {
        await using double = await runtime.load(doubleProgram());
        await using identity = await runtime.load(identityProgram('float32'));
        const order: number[] = [];
        const runs = Array.from({ length: 20 }, async (_, index) => {
          const session = index % 2 === 0 ? double : identity;
          const result = await session.run({ x: vector(index) });
          order.push(index);
          return Object.values(result)[0]!.data[0];
        });
        expect(await Promise.all(runs)).toEqual(Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 2 * i : i)));
        expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index));
      });

      test("leaves the caller's thread free during a long run", async () => {
        const size = 192;
        let feeds = await slowFeeds(runtime, size, 500);
        await using session = await runtime.load(powerProgram(size));
        // How long a run takes depends on what else the machine does: a run that was too short is made longer.
        for (;;) {
          const ticks = [performance.now()];
          const timer = setInterval(() => ticks.push(performance.now()), 5);
          const start = performance.now();
          await session.run(feeds);
          const end = performance.now();
          clearInterval(timer);
          const took = end - start;
          if (took < 400) {
            feeds = { ...feeds, trips: { ...feeds.trips, data: BigInt64Array.of(2n * feeds.trips.data[0]!) } };
            continue;
          }
          const gaps = [...ticks.slice(1), end].map((tick, index) => tick - ticks[index]!);
          // On a blocked thread there is no tick and one gap as long as the run.
          expect(ticks.length).toBeGreaterThan(took / 50);
          expect(Math.max(...gaps)).toBeLessThan(took / 2);
          break;
        }
      });
    });

    describe('feeds are checked', () => {
      const x = cube([2, 3, 2], 0);
      const good = { cache: x, x: cube([2, 1, 2], 0), bias: cube([2, 4, 2], 0) };
      const cases: [what: string, feeds: Record<string, TensorValue>, message: RegExp][] = [
        ['a missing input', { cache: x, x }, /program append: expected the inputs cache, x, bias.*missing bias/],
        ['an unexpected input', { ...good, mask: x }, /unexpected mask/],
        [
          'another element type',
          { ...good, x: { dtype: 'int32', shape: [2, 1, 2], data: new Int32Array(4) } },
          /input x: expected float32 \[batch, sequence, 2\], got int32 \[2, 1, 2\]/,
        ],
        [
          'another rank',
          { ...good, x: vector(1) },
          /input x: expected float32 \[batch, sequence, 2\], got float32 \[1\]/,
        ],
        ['another fixed size', { ...good, x: cube([2, 1, 3], 0) }, /input x: expected .*, got float32 \[2, 1, 3\]/],
        ['two sizes for one name', { ...good, x: cube([1, 1, 2], 0) }, /input x, axis 0 is 1.*batch.*is 2 here/],
        [
          'a sum that does not fit its parts',
          { ...good, bias: cube([2, 5, 2], 0) },
          /input bias, axis 1 is 5.*past\+sequence.*past = 3 .*sequence = 1 /,
        ],
        ['too few elements', { ...good, x: { ...good.x, data: new Float32Array(3) } }, /expected 4 elements .*got 3/],
        [
          'the wrong kind of array',
          { ...good, x: { ...good.x, data: new Int32Array(4) } },
          /float32 elements in a Float32Array, got Int32Array/,
        ],
        ['a size below zero', { ...good, x: { ...good.x, shape: [2, -1, 2] } }, /got float32 \[2, -1, 2\]/],
      ];

      test.each(cases)('%s', async (_, feeds, message) => {
        await using session = await runtime.load(appendProgram());
        const error = await session.run(feeds).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(RuntimeError);
        expect((error as RuntimeError).code).toBe('runtime_feeds_invalid');
        expect((error as RuntimeError).message).toMatch(message);
        expect(Object.keys(await session.run(good))).toEqual(['next', 'biased']);
      });

      test('outputs that are not there, not asked for, or none', async () => {
        await using session = await runtime.load(doubleProgram());
        const feeds = { x: vector(1) };
        await expect(session.run(feeds, { outputs: ['tripled'] })).rejects.toThrow(
          /no output tripled.*doubled, negated/,
        );
        await expect(session.run(feeds, { outputs: [] })).rejects.toThrow(/asked for nothing/);
        const keep = ['doubled'] as never;
        await expect(session.run(feeds, { outputs: ['negated'], keep })).rejects.toThrow(/cannot keep doubled/);
      });
    });

    describe('remote tensors', () => {
      test('are kept, described, read, and fed to any session', async () => {
        await using double = await runtime.load(doubleProgram(), { keep: ['doubled'] });
        await using identity = await runtime.load(identityProgram('float32'));
        const kept = await double.run({ x: vector(1, 2) }, { outputs: ['doubled', 'negated'], keep: ['doubled'] });
        expectTypeOf(kept).toEqualTypeOf<{ doubled: RemoteTensor; negated: TensorValue }>();
        expect(kept.negated).toEqual(vector(-1, -2));
        expect(kept.doubled).toBeInstanceOf(RemoteTensor);
        expect({ ...kept.doubled }).toMatchObject({ dtype: 'float32', shape: [2], byteLength: 8 });
        expect(await kept.doubled.read()).toEqual(vector(2, 4));
        expect((await identity.run({ x: kept.doubled })).y).toEqual(vector(2, 4));
        expect((await double.run({ x: kept.doubled })).doubled).toEqual(vector(4, 8));
        // Reading gives a copy: the tensor stays as it was.
        (await kept.doubled.read()).data[0] = 9;
        expect(await kept.doubled.read()).toEqual(vector(2, 4));
      });

      test('may be kept without notice, and returned in spite of notice', async () => {
        await using session = await runtime.load(doubleProgram(), { keep: ['doubled'] });
        const results = await session.run({ x: vector(3) }, { keep: ['negated'] });
        expectTypeOf(results.negated).toEqualTypeOf<RemoteTensor>();
        expectTypeOf(results.doubled).toEqualTypeOf<TensorValue | RemoteTensor>();
        expect(results.doubled).toEqual(vector(6));
        expect(await results.negated.read()).toEqual(vector(-3));
        const names: string[] = ['negated'];
        const unnamed = await session.run({ x: vector(3) }, { keep: names });
        expectTypeOf(unnamed).toEqualTypeOf<Record<string, TensorValue | RemoteTensor>>();
        expect(unnamed.negated).toBeInstanceOf(RemoteTensor);
      });

      test('carry a growing cache from step to step', async () => {
        await using session = await runtime.load(appendProgram(), { keep: ['next'] });
        let cache: TensorValue | RemoteTensor = cube([1, 0, 2], 0);
        for (let step = 0; step < 5; step++) {
          const feeds = { cache, x: cube([1, 1, 2], 2 * step), bias: cube([1, step + 1, 2], 0) };
          const results: { next: RemoteTensor; biased: TensorValue } = await session.run(feeds, {
            outputs: ['next', 'biased'],
            keep: ['next'],
          });
          if (cache instanceof RemoteTensor) void cache.dispose();
          cache = results.next;
          expect(results.biased.data[2 * step + 1]).toBe(4 * step + 2);
        }
        expect(cache).toBeInstanceOf(RemoteTensor);
        expect(await (cache as RemoteTensor).read()).toEqual(cube([1, 5, 2], 0));
        expect(session.memory().remote).toEqual({ count: 1, bytes: 40 });
      });

      test('are checked like other feeds', async () => {
        await using session = await runtime.load(appendProgram());
        await using wrong = await runtime.upload(cube([2, 1, 2], 0));
        const feeds = { cache: cube([1, 3, 2], 0), x: wrong, bias: cube([1, 4, 2], 0) };
        await expect(session.run(feeds)).rejects.toThrow(/input x, axis 0 is 2/);
        await expect(session.run({ ...feeds, x: await runtime.upload(vector(1)) })).rejects.toThrow(
          /got float32 \[1\]/,
        );
      });

      test('belong to one runtime', async () => {
        await using other = await create();
        await using session = await runtime.load(doubleProgram());
        const stranger = await other.upload(vector(1));
        await expect(session.run({ x: stranger })).rejects.toThrow(/of another one: read\(\) it first/);
      });

      test('can be uploaded from arrays that are checked, copied or handed over', async () => {
        const value = vector(1, 2);
        await using copied = await runtime.upload(value);
        expect(value.data.length).toBe(2);
        await using given = await runtime.upload(value, { transfer: true });
        expect(value.data.length).toBe(0);
        expect(await copied.read()).toEqual(await given.read());
        await expect(runtime.upload({ ...vector(1), shape: [2] })).rejects.toThrow(/expected 2 elements/);
      });
    });

    describe('aborting', () => {
      test('takes back a run that waits, and lets one that runs finish', async () => {
        const feeds = await slowFeeds(runtime, 128, 200);
        await using slow = await runtime.load(powerProgram(128));
        await using double = await runtime.load(doubleProgram());
        const controller = new AbortController();
        const { signal } = controller;
        const settled: string[] = [];
        const running = slow.run(feeds, { signal }).then(() => settled.push('running'));
        const waiting = double.run({ x: vector(1) }, { signal }).catch((error: unknown) => {
          settled.push('waiting');
          return error;
        });
        const other = double.run({ x: vector(2) }).then(() => settled.push('other'));
        const reason = new Error('enough');
        controller.abort(reason);
        expect(await waiting).toBe(reason);
        await running;
        await other;
        expect(settled).toEqual(['waiting', 'running', 'other']);
        await expect(double.run({ x: vector(1) }, { signal })).rejects.toBe(reason);
      });
    });

    describe('errors', () => {
      test('of ONNX Runtime name the program and its inputs, and keep the cause', async () => {
        await using session = await runtime.load(reshapeProgram());
        const shape: TensorValue = { dtype: 'int64', shape: [2], data: BigInt64Array.of(3n, 2n) };
        const run = session.run({ x: vector(1, 2), shape });
        const error = (await run.catch((reason: unknown) => reason)) as RuntimeError;
        expect(error).toBeInstanceOf(RuntimeError);
        expect(error.code).toBe('runtime_run_failed');
        expect(error.message).toMatch(/program reshape failed.*Inputs: x float32 \[2\], shape int64 \[2\]$/s);
        expect(error.details).toMatchObject({ program: 'reshape', inputs: { x: { dtype: 'float32', shape: [2] } } });
        expect(error.cause).toBeInstanceOf(Error);
        shape.data[0] = 1n;
        expect((await session.run({ x: vector(1, 2), shape })).y).toEqual({ ...vector(1, 2), shape: [1, 2] });
      });

      test('a model that is none', async () => {
        const broken = { ...doubleProgram(), model: new Uint8Array([1, 2, 3]) };
        const error = (await runtime.load(broken).catch((reason: unknown) => reason)) as RuntimeError;
        expect(error).toBeInstanceOf(RuntimeError);
        expect(error.code).toBe('runtime_program_invalid');
        expect(error.message).toMatch(/^program double cannot be loaded: /);
      });

      test('a program that describes another model', async () => {
        const double = doubleProgram();
        const input = (shape: (number | string)[], dtype: DType = 'float32') => ({
          ...double,
          inputs: [port('x', dtype, shape)],
        });
        await expect(runtime.load({ ...double, inputs: [] })).rejects.toThrow(/inputs \(none\), but its model has x/);
        await expect(runtime.load(input(['length'], 'int32'))).rejects.toThrow(
          /x is int32, but in its model .*float32/,
        );
        await expect(runtime.load(input(['rows', 'columns']))).rejects.toThrow(/\[rows, columns\], but .* \[length\]/);
        await expect(runtime.load({ ...double, outputs: double.outputs.slice(1) })).rejects.toThrow(/outputs negated/);
      });

      test('options that cannot be', async () => {
        for (const [options, message] of [
          [{ threads: 0 }, /threads must be a whole number from 1 to 1024, got 0/],
          [{ threads: 1e5 }, /got 100000/],
          [{ optimization: 'most' as 'all' }, /optimization must be one of .*got most/],
          [{ keep: ['tripled'] }, /keep names tripled, but the outputs are doubled, negated/],
        ] as const) {
          const error = (await runtime
            .load(doubleProgram(), options)
            .catch((reason: unknown) => reason)) as RuntimeError;
          expect(error.code).toBe('runtime_option_invalid');
          expect(error.message).toMatch(message);
        }
      });
    });

    describe('disposal', () => {
      test('of a tensor: once, after the runs that use it', async () => {
        await using session = await runtime.load(doubleProgram());
        const tensor = await runtime.upload(vector(1));
        const run = session.run({ x: tensor });
        const disposals = [tensor.dispose(), tensor.dispose()];
        expect((await run).doubled).toEqual(vector(2));
        await Promise.all(disposals);
        expect(tensor.disposed).toBe(true);
        await expect(tensor.read()).rejects.toBeInstanceOf(DisposedError);
        await expect(session.run({ x: tensor })).rejects.toBeInstanceOf(DisposedError);
      });

      test('of many tensors in a row', async () => {
        const before = runtime.memory().remote;
        const tensors = await Promise.all(Array.from({ length: 50 }, (_, index) => runtime.upload(vector(index))));
        expect(runtime.memory().remote).toEqual({ count: before.count + 50, bytes: before.bytes + 200 });
        await Promise.all(tensors.map((tensor) => tensor.dispose()));
        expect(runtime.memory().remote).toEqual(before);
      });

      test('of a session: takes its kept tensors along, those of pending runs too', async () => {
        const session = await runtime.load(doubleProgram());
        await using identity = await runtime.load(identityProgram('float32'));
        const { doubled } = await session.run({ x: vector(1) }, { keep: ['doubled'] });
        const pending = session.run({ x: vector(2) }, { keep: ['doubled'] });
        await Promise.all([session.dispose(), session[Symbol.asyncDispose]()]);
        expect(doubled.disposed).toBe(true);
        expect((await pending).doubled.disposed).toBe(true);
        expect((await pending).negated).toEqual(vector(-2));
        await expect(identity.run({ x: doubled })).rejects.toBeInstanceOf(DisposedError);
        await expect(session.run({ x: vector(1) })).rejects.toBeInstanceOf(DisposedError);
        await expect(session.run({ x: vector(1) })).rejects.toThrow(/session of program double was disposed/);
      });

      test('of a runtime: finishes what was asked, then takes everything along', async () => {
        const own = await create();
        const session = await own.load(doubleProgram());
        const upload = await own.upload(vector(5));
        const pending = session.run({ x: upload });
        await Promise.all([own.dispose(), own.dispose()]);
        expect((await pending).doubled).toEqual(vector(10));
        expect([own.disposed, session.disposed, upload.disposed]).toEqual([true, true, true]);
        await Promise.all([session.dispose(), upload.dispose()]);
        await expect(own.load(doubleProgram())).rejects.toBeInstanceOf(DisposedError);
        await expect(own.upload(vector(1))).rejects.toBeInstanceOf(DisposedError);
        await expect(session.run({ x: vector(1) })).rejects.toBeInstanceOf(DisposedError);
        expect(own.memory()).toEqual({ sessions: [], remote: { count: 0, bytes: 0 } });
      });
    });

    test('accounts for what it holds', async () => {
      const linear = linearProgram(16);
      await using session = await runtime.load(linear);
      await using fixed = await runtime.load(
        program('fixed', {
          inputs: [port('x', 'int64', [3, 2])],
          outputs: [port('y', 'int64', [3, 2])],
          nodes: [{ opType: 'Identity', input: ['x'], output: ['y'] }],
        }),
      );
      await session.run({ x: { dtype: 'float32', shape: [2, 16], data: new Float32Array(32) } }, { keep: ['y'] });
      expect(session.memory()).toEqual({
        program: 'linear',
        modelBytes: linear.model.byteLength,
        inputs: [{ name: 'x', dtype: 'float32', shape: ['rows', 16], bytes: undefined }],
        outputs: [{ name: 'y', dtype: 'float32', shape: ['rows', 16], bytes: undefined }],
        remote: { count: 1, bytes: 128 },
      });
      expect(fixed.memory().inputs[0]!.bytes).toBe(48);
      expect(runtime.memory().sessions).toHaveLength(2);
    });
  });
}
