/** Runs a compiled program in ONNX Runtime directly, for tests of the tensor language alone. */
import * as ort from 'onnxruntime-node';
import type { CompiledProgram, DType } from '../../src/tensor/index.ts';
import { type NumericArray, numericArray } from './array.ts';

type OrtData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Int8Array;

function ortTensor(dtype: DType, { shape, data }: NumericArray): ort.Tensor {
  const arrays: { readonly [K in DType]?: () => OrtData } = {
    float32: () => Float32Array.from(data),
    float64: () => data.slice(),
    int64: () => BigInt64Array.from(data, (value) => BigInt(value)),
    int32: () => Int32Array.from(data),
    int8: () => Int8Array.from(data),
    uint8: () => Uint8Array.from(data),
    bool: () => Uint8Array.from(data),
  };
  const make = arrays[dtype];
  if (!make) throw new Error(`tests feed no ${dtype}`);
  return new ort.Tensor(dtype as 'float32', make() as Float32Array, shape);
}

export interface SessionOptions {
  /** Contents of weight files, by path. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** Default 1. */
  readonly threads?: number;
}

/** A program that can be run many times. */
export class TestSession {
  private readonly program: CompiledProgram;
  private readonly session: ort.InferenceSession;

  private constructor(program: CompiledProgram, session: ort.InferenceSession) {
    this.program = program;
    this.session = session;
  }

  static async create(
    program: CompiledProgram,
    { files = {}, threads = 1 }: SessionOptions = {},
  ): Promise<TestSession> {
    const session = await ort.InferenceSession.create(program.model, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      externalData: Object.entries(files).map(([path, data]) => ({ path, data })),
    });
    return new TestSession(program, session);
  }

  async run(feeds: Readonly<Record<string, NumericArray>>): Promise<Record<string, NumericArray>> {
    const tensors = this.program.inputs.map(({ name, dtype }) => [name, ortTensor(dtype, feeds[name]!)] as const);
    const results = await this.session.run(Object.fromEntries(tensors));
    return Object.fromEntries(
      this.program.outputs.map(({ name, dtype }) => {
        const result = results[name]!;
        if (result.type !== dtype) throw new Error(`${name} came out as ${result.type}, declared ${dtype}`);
        return [name, numericArray(result.dims, result.data as Float32Array)];
      }),
    );
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}

/** Creates, runs once, releases. */
export async function runProgram(
  program: CompiledProgram,
  feeds: Readonly<Record<string, NumericArray>>,
  options?: SessionOptions,
): Promise<Record<string, NumericArray>> {
  const session = await TestSession.create(program, options);
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}
