import type { CompiledProgram, PortType } from '../tensor/compiled.ts';
import type { TensorValue } from '../tensor/value.ts';
import { DisposedError, messageOf, RuntimeError } from './error.ts';
import { describeFeeds, type Feeds, packFeeds } from './feeds.ts';
import { portMemory, remoteMemory, type SessionMemory } from './memory.ts';
import type { RemoteDescription, WireOutput } from './protocol.ts';
import type { RequestQueue } from './queue.ts';
import { RemoteTensor, type TensorOwner } from './remote-tensor.ts';

export interface RunOptions<Output extends string = string, Keep extends string = string> {
  /** Outputs to compute and return. Default: all. */
  readonly outputs?: readonly Output[] | undefined;
  /** Outputs that stay in the worker and come back as `RemoteTensor`. Default: none. */
  readonly keep?: readonly Keep[] | undefined;
  /**
   * Takes the run back while it waits for its turn: it rejects with the signal's reason. A run that has begun goes on
   * and gives its result: ONNX Runtime cannot be interrupted.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * Hand the feeds' buffers over instead of copying them; the caller's arrays are empty afterwards. Each array must
   * have its `ArrayBuffer` to itself. Default: false.
   */
  readonly transfer?: boolean | undefined;
}

/** What a run gives: kept outputs as handles, all others as values; either where the names are not known to the compiler. */
export type RunResult<Output extends string, Keep extends string> = {
  [Name in Output]: string extends Keep ? TensorValue | RemoteTensor : Name extends Keep ? RemoteTensor : TensorValue;
};

/** The same for a run that returns all outputs: only the kept ones are known by name. */
export type RunResultKeeping<Keep extends string> = Record<string, TensorValue | RemoteTensor> &
  (string extends Keep ? unknown : Record<Keep, RemoteTensor>);

/** What a session needs of its runtime. */
export interface SessionOwner {
  readonly queue: RequestQueue;
  nextRemoteId(): number;
  forget(session: Session): void;
}

/**
 * A program that is loaded and ready to run. It owns the tensors that its runs keep: disposing it disposes them.
 *
 * Calls may be made at any time; they are answered in order.
 */
export class Session implements AsyncDisposable, TensorOwner {
  readonly program: {
    readonly name: string;
    readonly inputs: readonly PortType[];
    readonly outputs: readonly PortType[];
  };
  readonly #program: CompiledProgram;
  readonly #modelBytes: number;
  readonly #id: number;
  readonly #owner: SessionOwner;
  readonly #remotes = new Set<RemoteTensor>();
  #disposed: Promise<void> | undefined;

  /** Made by `Runtime.load`, not by users. */
  constructor(id: number, program: CompiledProgram, owner: SessionOwner) {
    const { name, inputs, outputs, model } = program;
    this.program = { name, inputs, outputs };
    // The model's bytes are not kept alive by a session.
    this.#program = { name, inputs, outputs, model: new Uint8Array() };
    this.#modelBytes = model.byteLength;
    this.#id = id;
    this.#owner = owner;
  }

  get disposed(): boolean {
    return this.#disposed !== undefined;
  }

  /** The queue of the runtime that runs this session. */
  get queue(): RequestQueue {
    return this.#owner.queue;
  }

  /**
   * Runs the program once.
   *
   * Feeds must have exactly the program's inputs, with their element types, ranks and sizes; one size name means one
   * size. Throws `RuntimeError` (`runtime_feeds_invalid` before anything is sent, `runtime_run_failed` from ONNX
   * Runtime, `runtime_dead` when the worker is gone) and `DisposedError`.
   */
  run<const Output extends string, const Keep extends Output = never>(
    feeds: Feeds,
    options: RunOptions<Output, Keep> & { readonly outputs: readonly Output[] },
  ): Promise<RunResult<Output, Keep>>;
  run<const Keep extends string>(
    feeds: Feeds,
    options: RunOptions<string, Keep> & { readonly keep: readonly Keep[]; readonly outputs?: undefined },
  ): Promise<RunResultKeeping<Keep>>;
  run(feeds: Feeds, options?: RunOptions<string, never>): Promise<Record<string, TensorValue>>;
  async run(feeds: Feeds, options: RunOptions = {}): Promise<Record<string, TensorValue | RemoteTensor>> {
    if (this.#disposed) throw new DisposedError(`the session of program ${this.program.name}`);
    const outputs = this.#outputs(options);
    const packed = packFeeds(this.#program, feeds, this.queue, options.transfer ?? false);
    const ask = { session: this.#id, feeds: packed.feeds, outputs };
    let answer: readonly (TensorValue | RemoteDescription)[];
    try {
      answer = await this.queue.submit('run', ask, packed.transfer, options.signal);
    } catch (error) {
      if (error instanceof RuntimeError || (options.signal?.aborted && error === options.signal.reason)) throw error;
      throw this.#runError(error, feeds);
    }
    const result: Record<string, TensorValue | RemoteTensor> = {};
    outputs.forEach(({ name, keepAs }, index) => {
      result[name] = keepAs === undefined ? (answer[index] as TensorValue) : this.#adopt(keepAs, answer[index]!);
    });
    return result;
  }

  /** Bytes of the inputs, outputs and kept tensors. */
  memory(): SessionMemory {
    return {
      program: this.program.name,
      modelBytes: this.#modelBytes,
      inputs: portMemory(this.program.inputs),
      outputs: portMemory(this.program.outputs),
      remote: remoteMemory(this.#remotes),
    };
  }

  /** Frees the session and its kept tensors after all calls made so far. Does nothing the second time. */
  dispose(): Promise<void> {
    if (!this.#disposed) {
      this.#owner.forget(this);
      this.disposeWithOwner(this.queue.release([this.#id], []));
    }
    return this.#disposed!;
  }

  /** Its runtime frees it, by `done`: nothing more is sent. */
  disposeWithOwner(done: Promise<void>): void {
    this.#disposed ??= done;
    for (const remote of this.#remotes) remote.disposeWithOwner(this.#disposed);
    this.#remotes.clear();
  }

  forget(tensor: RemoteTensor): void {
    this.#remotes.delete(tensor);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #outputs({ outputs, keep = [] }: RunOptions): WireOutput[] {
    const known = this.program.outputs.map((port) => port.name);
    const wanted = outputs ?? known;
    const refuse = (name: string, what: string) => {
      throw new RuntimeError(
        'runtime_feeds_invalid',
        `program ${this.program.name} ${what} ${name}: its outputs are ${known.join(', ')}${
          outputs ? `, and ${outputs.join(', ') || 'none'} of them were asked for` : ''
        }`,
        { program: this.program.name, output: name, expected: known },
      );
    };
    for (const name of wanted) if (!known.includes(name)) refuse(name, 'has no output');
    for (const name of keep) if (!wanted.includes(name)) refuse(name, 'cannot keep');
    if (wanted.length === 0) refuse('nothing', 'was asked for');
    return [...new Set(wanted)].map((name) =>
      keep.includes(name) ? { name, keepAs: this.#owner.nextRemoteId() } : { name },
    );
  }

  #adopt(id: number, description: RemoteDescription): RemoteTensor {
    const remote = new RemoteTensor(id, description, this);
    // The session was disposed while this run was on its way: the worker has freed, or will free, the tensor with it.
    if (this.#disposed) remote.disposeWithOwner(this.#disposed);
    else this.#remotes.add(remote);
    return remote;
  }

  #runError(error: unknown, feeds: Feeds): RuntimeError {
    const inputs = describeFeeds(feeds);
    return new RuntimeError(
      'runtime_run_failed',
      `program ${this.program.name} failed while it ran: ${messageOf(error)}. Inputs: ${inputs}`,
      { program: this.program.name, inputs: Object.fromEntries(Object.entries(feeds).map(describeEntry)) },
      { cause: error },
    );
  }
}

function describeEntry([name, { dtype, shape }]: [string, TensorValue | RemoteTensor]): [string, unknown] {
  return [name, { dtype, shape }];
}
