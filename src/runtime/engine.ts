import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { CompiledProgram, PortType } from '../tensor/compiled.ts';
import { type DType, dtypes } from '../tensor/dtype.ts';
import type { TensorValue } from '../tensor/value.ts';
import { operatorModel } from './operator-model.ts';
import {
  type EngineSettings,
  type LoadSettings,
  logLevels,
  type RemoteDescription,
  type Request,
  type Requests,
  type WireFeed,
} from './protocol.ts';

/** What an engine needs of ONNX Runtime: the same in Node and in a browser. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: Tensor.Type, data: Tensor.DataType, dims: readonly number[]) => Tensor;
}

/** Where a session finds weights that are not in its model. */
export interface WeightsOptions {
  /** Session configuration entries. */
  readonly extra?: Readonly<Record<string, string>>;
  /** Files in memory, by the location that the model names. */
  readonly externalData?: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** What differs between platforms. */
export interface EnginePlatform {
  readonly ort: OnnxRuntime;
  /** Session options that make ONNX Runtime look for weights in this folder, or nowhere when it is undefined. */
  weightsOptions(folder: string | undefined): WeightsOptions | Promise<WeightsOptions>;
  /** A sentence that helps with an error of ONNX Runtime, when there is one. */
  hint(message: string): string | undefined;
}

/** An answer with the buffers that go with it. */
export interface Answer {
  readonly answer: Requests[Request['kind']]['answer'];
  readonly transfer: readonly ArrayBuffer[];
}

interface LoadedSession {
  readonly session: InferenceSession;
  /** Tensors that its runs kept. */
  readonly remotes: Set<number>;
}

interface StoredTensor {
  readonly tensor: Tensor;
  readonly dtype: DType;
  readonly owner: LoadedSession | undefined;
}

/**
 * An idle session's threads go on spinning for some 40 ms and take the processor from the session that runs: two
 * sessions in turn took 2.5 times as long. Stopping them at the end of a run costs one session alone nothing.
 */
const threading = { 'session.force_spinning_stop': '1' };

/** Element types of which ONNX Runtime's JavaScript API has tensors in GPU memory; others are kept in main memory. */
const gpuTypes: ReadonlySet<DType> = new Set(['float32', 'float16', 'int32', 'int64', 'uint8', 'bool']);

const nothing: Answer = { answer: undefined, transfer: [] };

/** The worker's side of a runtime: holds the sessions and tensors, and does what requests ask, one at a time. */
export class Engine {
  readonly #platform: EnginePlatform;
  readonly #settings: EngineSettings;
  readonly #sessions = new Map<number, LoadedSession>();
  readonly #tensors = new Map<number, StoredTensor>();
  /** Copies tensors from the device, by element type. */
  readonly #readers = new Map<DType, InferenceSession>();

  constructor(platform: EnginePlatform, settings: EngineSettings) {
    this.#platform = platform;
    this.#settings = settings;
  }

  async handle(request: Request): Promise<Answer> {
    switch (request.kind) {
      case 'load':
        return this.#load(request.ask);
      case 'run':
        return this.#run(request.ask);
      case 'upload': {
        const { remote, value } = request.ask;
        this.#tensors.set(remote, { tensor: this.#toOrt(value), dtype: value.dtype, owner: undefined });
        return nothing;
      }
      case 'read':
        return this.#read(request.ask.remote);
      case 'release':
        for (const id of request.ask.sessions) await this.#releaseSession(id);
        for (const id of request.ask.remotes) this.#releaseTensor(id);
        return nothing;
      case 'stop':
        for (const id of [...this.#sessions.keys()]) await this.#releaseSession(id);
        for (const id of [...this.#tensors.keys()]) this.#releaseTensor(id);
        for (const reader of this.#readers.values()) await reader.release();
        this.#readers.clear();
        return nothing;
    }
  }

  async #load({ session: id, program, settings }: Requests['load']['ask']): Promise<Answer> {
    let session: InferenceSession;
    try {
      session = await this.#platform.ort.InferenceSession.create(
        program.model,
        this.#sessionOptions(program, settings, await this.#platform.weightsOptions(settings.weightsFolder)),
      );
    } catch (error) {
      const hint = this.#platform.hint(String(error));
      if (hint === undefined) throw error;
      throw new Error(`${(error as Error).message.trim()} (${hint})`, { cause: error });
    }
    const problem =
      portProblem('input', program.inputs, session.inputMetadata) ??
      portProblem('output', program.outputs, session.outputMetadata);
    if (problem !== undefined) {
      await session.release();
      throw new Error(problem);
    }
    this.#sessions.set(id, { session, remotes: new Set() });
    return nothing;
  }

  #sessionOptions(
    { outputs }: CompiledProgram,
    settings: LoadSettings,
    { extra, externalData }: WeightsOptions,
  ): InferenceSession.SessionOptions {
    const { threads, optimization, memoryArena, memoryPattern, config, keep } = settings;
    return {
      ...this.#commonOptions(threads),
      graphOptimizationLevel: optimization,
      enableCpuMemArena: memoryArena,
      enableMemPattern: memoryPattern,
      extra: { ...threading, ...extra, ...config },
      ...(externalData && { externalData }),
      ...(this.#settings.device === 'webgpu' && {
        preferredOutputLocation: Object.fromEntries(
          outputs
            .filter(({ name, dtype }) => keep.includes(name) && gpuTypes.has(dtype))
            .map(({ name }) => [name, 'gpu-buffer' as const]),
        ),
      }),
    };
  }

  #commonOptions(threads: number): InferenceSession.SessionOptions {
    return {
      executionProviders: [this.#settings.device],
      intraOpNumThreads: threads,
      logSeverityLevel: logLevels.indexOf(this.#settings.logLevel) as 0 | 1 | 2 | 3 | 4,
    };
  }

  async #run({ session: id, feeds, outputs }: Requests['run']['ask']): Promise<Answer> {
    const loaded = this.#sessions.get(id);
    if (!loaded) throw new Error(`there is no session ${id}`);
    const inputs: Record<string, Tensor> = {};
    for (const [name, feed] of feeds) inputs[name] = this.#feed(feed);
    const names = outputs.map(({ name }) => name);
    const results = await loaded.session.run(inputs, names);

    const answer: (TensorValue | RemoteDescription)[] = [];
    const transfer = new Set<ArrayBuffer>();
    for (const { name, keepAs } of outputs) {
      const tensor = results[name] as Tensor;
      if (keepAs === undefined) {
        const value = await this.#toValue(tensor);
        if (tensor.location !== 'cpu') tensor.dispose();
        transfer.add(value.data.buffer as ArrayBuffer);
        answer.push(value);
      } else {
        const dtype = tensor.type as DType;
        this.#tensors.set(keepAs, { tensor, dtype, owner: loaded });
        loaded.remotes.add(keepAs);
        answer.push({ dtype, shape: [...tensor.dims] });
      }
    }
    return { answer, transfer: [...transfer] };
  }

  #feed(feed: WireFeed): Tensor {
    return 'remote' in feed ? this.#stored(feed.remote).tensor : this.#toOrt(feed.value);
  }

  #stored(id: number): StoredTensor {
    const stored = this.#tensors.get(id);
    if (!stored) throw new Error(`there is no remote tensor ${id}`);
    return stored;
  }

  async #read(id: number): Promise<Answer> {
    const { tensor } = this.#stored(id);
    const value = await this.#toValue(tensor);
    // A tensor in main memory is the worker's own array, which must stay here.
    const data = tensor.location === 'cpu' ? value.data.slice() : value.data;
    return { answer: { ...value, data }, transfer: [data.buffer as ArrayBuffer] };
  }

  #toOrt({ dtype, shape, data }: TensorValue): Tensor {
    return new this.#platform.ort.Tensor(dtype as Tensor.Type, data as Tensor.DataType, shape);
  }

  async #toValue(tensor: Tensor): Promise<TensorValue> {
    const dtype = tensor.type as DType;
    const data = (tensor.location === 'cpu' ? tensor : await this.#download(tensor, dtype)).data as TensorValue['data'];
    const { array: Elements } = dtypes[dtype];
    return {
      dtype,
      shape: [...tensor.dims],
      // Where the language has Float16Array, ONNX Runtime gives that; bits are what is promised.
      data: data instanceof Elements ? data : new Elements(data.buffer as ArrayBuffer, data.byteOffset, data.length),
    };
  }

  /** ONNX Runtime for Node cannot download a GPU tensor (it aborts the process), but a session brings its outputs home. */
  async #download(tensor: Tensor, dtype: DType): Promise<Tensor> {
    let reader = this.#readers.get(dtype);
    if (!reader) {
      const options = this.#commonOptions(1);
      reader = await this.#platform.ort.InferenceSession.create(operatorModel('Identity', 1, dtype), options);
      this.#readers.set(dtype, reader);
    }
    return (await reader.run({ x: tensor }, ['y'])).y as Tensor;
  }

  #releaseTensor(id: number): void {
    const stored = this.#tensors.get(id);
    // Its session may have been released before it.
    if (!stored) return;
    this.#tensors.delete(id);
    stored.owner?.remotes.delete(id);
    if (stored.tensor.location !== 'cpu') stored.tensor.dispose();
  }

  async #releaseSession(id: number): Promise<void> {
    const loaded = this.#sessions.get(id);
    // Its loading may have failed.
    if (!loaded) return;
    this.#sessions.delete(id);
    for (const remote of [...loaded.remotes]) this.#releaseTensor(remote);
    await loaded.session.release();
  }
}

/** Compares what a program says of its ports with what is in its model. */
function portProblem(
  side: 'input' | 'output',
  ports: readonly PortType[],
  metadata: readonly InferenceSession.ValueMetadata[],
): string | undefined {
  const expected = ports.map((port) => port.name).sort();
  const got = metadata.map((entry) => entry.name).sort();
  if (expected.join('\n') !== got.join('\n')) {
    return `the program names the ${side}s ${expected.join(', ') || '(none)'}, but its model has ${got.join(', ') || '(none)'}`;
  }
  for (const port of ports) {
    const entry = metadata.find(({ name }) => name === port.name)!;
    if (!entry.isTensor || entry.type !== port.dtype) {
      const type = entry.isTensor ? entry.type : 'not a tensor';
      return `the program says that ${side} ${port.name} is ${port.dtype}, but in its model it is ${type}`;
    }
    const { shape } = entry;
    const clash =
      shape.length > 0 &&
      (shape.length !== port.shape.length ||
        port.shape.some(
          (dim, axis) => typeof dim === 'number' && typeof shape[axis] === 'number' && dim !== shape[axis],
        ));
    if (clash) {
      return `the program says that ${side} ${port.name} is [${port.shape.join(', ')}], but in its model it is [${shape.join(', ')}]`;
    }
  }
  return undefined;
}

/** Answers requests one after the other: `post` sends the replies. */
export function serve(engine: Engine, post: (reply: unknown, transfer: readonly ArrayBuffer[]) => void) {
  let last = Promise.resolve();
  return (request: Request): Promise<void> => {
    last = last.then(async () => {
      try {
        const { answer, transfer } = await engine.handle(request);
        post({ id: request.id, answer }, transfer);
      } catch (error) {
        post({ id: request.id, error }, []);
      }
    });
    return last;
  };
}
