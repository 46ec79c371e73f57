import type { CompiledProgram } from '../tensor/compiled.ts';
import type { TensorValue } from '../tensor/value.ts';
import type { DeviceChoice } from './device.ts';
import { DisposedError, messageOf, RuntimeError } from './error.ts';
import { checkValue, copy } from './feeds.ts';
import type { WorkerHost } from './host.ts';
import { type RuntimeMemory, remoteMemory } from './memory.ts';
import { type LoadSettings, type OptimizationLevel, optimizationLevels } from './protocol.ts';
import { RequestQueue } from './queue.ts';
import { RemoteTensor, type TensorOwner } from './remote-tensor.ts';
import { Session, type SessionOwner } from './session.ts';
import { checkThreads } from './threads.ts';

export interface LoadOptions {
  /** The folder that locations of weights outside of the model are relative to. Needed only where a program has such. */
  readonly weightsFolder?: string | undefined;
  /**
   * Outputs that runs will usually keep. On a GPU they are then born in its memory; without this, keeping them works
   * but takes them through main memory. Makes no difference on a CPU. Default: none.
   */
  readonly keep?: readonly string[] | undefined;
  /** Threads inside an operator, 1 to 1024. Default: the runtime's. */
  readonly threads?: number | undefined;
  /** Default: `'all'`. */
  readonly optimization?: OptimizationLevel | undefined;
  /**
   * Keep scratch memory between runs until the session is disposed. Without it memory falls back after each run, and
   * large activations take two to three times as long, since their pages are fetched again. Default: true.
   */
  readonly memoryArena?: boolean | undefined;
  /**
   * Plan scratch memory as one block for each set of input shapes. It doubled what the arena holds and saved no time
   * that could be measured. Default: false.
   */
  readonly memoryPattern?: boolean | undefined;
  /**
   * Session configuration entries of ONNX Runtime. `{ 'session.disable_prepacking': '1' }` keeps weights in the layout
   * of the file: smaller (a float32 matrix is held 1.6 times with packing) and faster to load, slower to run.
   */
  readonly config?: Readonly<Record<string, string>> | undefined;
}

/** What a runtime is built of. */
export interface RuntimeParts {
  readonly host: WorkerHost;
  readonly device: DeviceChoice;
  /** Threads inside an operator, for sessions that do not say. */
  readonly threads: number;
}

/**
 * Runs compiled programs in one worker thread, so that the caller's thread stays free. It owns its sessions, which own
 * the tensors they kept; disposing an owner disposes what it owns.
 *
 * This class knows nothing of a platform: `Runtime` is the one in Node.
 */
export class WorkerRuntime implements AsyncDisposable, SessionOwner, TensorOwner {
  /** The device that was asked for, the one that was chosen, and why. */
  readonly device: DeviceChoice;
  readonly threads: number;
  readonly queue: RequestQueue;
  readonly #host: WorkerHost;
  readonly #sessions = new Set<Session>();
  readonly #uploads = new Set<RemoteTensor>();
  #lastSessionId = 0;
  #lastRemoteId = 0;
  #disposed: Promise<void> | undefined;

  constructor({ host, device, threads }: RuntimeParts) {
    this.device = device;
    this.threads = threads;
    this.queue = new RequestQueue(host);
    this.#host = host;
  }

  get disposed(): boolean {
    return this.#disposed !== undefined;
  }

  /** Resolves when the worker is up; throws `RuntimeError` (`runtime_dead`) when it cannot start. */
  async started(): Promise<void> {
    await this.queue.submit('release', { sessions: [], remotes: [] });
  }

  /**
   * Makes a program ready to run. Throws `RuntimeError`: `runtime_option_invalid`, or `runtime_program_invalid` when the
   * model or its weights cannot be read, or do not have the inputs and outputs that the program names.
   */
  async load(program: CompiledProgram, options: LoadOptions = {}): Promise<Session> {
    if (this.#disposed) throw new DisposedError('the runtime');
    const settings = this.#settings(program, options);
    const id = ++this.#lastSessionId;
    // A view would take all of its buffer along, and the caller keeps its own.
    const model = new Uint8Array(program.model);
    const { name, inputs, outputs } = program;
    const session = new Session(id, program, this);
    this.#sessions.add(session);
    try {
      await this.queue.submit('load', { session: id, program: { name, inputs, outputs, model }, settings }, [
        model.buffer,
      ]);
    } catch (error) {
      this.#sessions.delete(session);
      if (error instanceof RuntimeError) throw error;
      throw new RuntimeError(
        'runtime_program_invalid',
        `program ${name} cannot be loaded: ${messageOf(error)}`,
        { program: name, weightsFolder: settings.weightsFolder },
        { cause: error },
      );
    }
    return session;
  }

  /**
   * Puts a tensor where programs run, to be fed many times without crossing threads again. The runtime owns it.
   * `transfer` hands its buffer over instead of copying (see `RunOptions`). Default: false.
   */
  async upload(value: TensorValue, { transfer = false }: { transfer?: boolean } = {}): Promise<RemoteTensor> {
    if (this.#disposed) throw new DisposedError('the runtime');
    checkValue('upload', value, transfer);
    refuseBfloat16('upload', value.dtype);
    const { dtype, shape } = value;
    const data = transfer ? value.data : copy(value);
    const id = this.nextRemoteId();
    const remote = new RemoteTensor(id, { dtype, shape: [...shape] }, this);
    this.#uploads.add(remote);
    try {
      await this.queue.submit('upload', { remote: id, value: { dtype, shape: remote.shape, data } }, [
        data.buffer as ArrayBuffer,
      ]);
    } catch (error) {
      this.#uploads.delete(remote);
      throw error;
    }
    return remote;
  }

  /** Bytes that sessions and remote tensors hold. */
  memory(): RuntimeMemory {
    const sessions = [...this.#sessions].map((session) => session.memory());
    const uploads = remoteMemory(this.#uploads);
    const kept = sessions.map((session) => session.remote);
    return {
      sessions,
      remote: {
        count: kept.reduce((sum, { count }) => sum + count, uploads.count),
        bytes: kept.reduce((sum, { bytes }) => sum + bytes, uploads.bytes),
      },
    };
  }

  /** Ends the worker after all calls made so far, and frees everything. Does nothing the second time. */
  dispose(): Promise<void> {
    if (!this.#disposed) {
      const released = this.queue.death ? Promise.resolve(undefined) : this.queue.submit('stop', {});
      this.#disposed = released
        .catch((error: unknown) => {
          if (error !== this.queue.death) throw error;
        })
        .finally(() => this.#host.stop());
      for (const session of this.#sessions) session.disposeWithOwner(this.#disposed);
      for (const upload of this.#uploads) upload.disposeWithOwner(this.#disposed);
      this.#sessions.clear();
      this.#uploads.clear();
    }
    return this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  nextRemoteId(): number {
    return ++this.#lastRemoteId;
  }

  forget(child: Session | RemoteTensor): void {
    if (child instanceof Session) this.#sessions.delete(child);
    else this.#uploads.delete(child);
  }

  #settings(program: CompiledProgram, options: LoadOptions): LoadSettings {
    const { weightsFolder, keep = [], optimization = 'all', threads = this.threads, config = {} } = options;
    const invalid = (what: string) => {
      throw new RuntimeError('runtime_option_invalid', `program ${program.name}: ${what}`, { program: program.name });
    };
    if (weightsFolder === '') invalid('weightsFolder is empty: leave it out, or name a folder');
    const outputs = program.outputs.map((port) => port.name);
    const stranger = keep.find((name) => !outputs.includes(name));
    if (stranger !== undefined) invalid(`keep names ${stranger}, but the outputs are ${outputs.join(', ')}`);
    if (!optimizationLevels.includes(optimization)) {
      invalid(`optimization must be one of ${optimizationLevels.join(', ')}, got ${optimization}`);
    }
    for (const port of [...program.inputs, ...program.outputs]) {
      refuseBfloat16(`program ${program.name}, port ${port.name}`, port.dtype);
    }
    return {
      weightsFolder,
      keep,
      threads: checkThreads(threads),
      optimization,
      memoryArena: options.memoryArena ?? true,
      memoryPattern: options.memoryPattern ?? false,
      config,
    };
  }
}

/** The JavaScript bindings of ONNX Runtime 1.30 have no bfloat16 tensors; inside a graph they are fine. */
function refuseBfloat16(what: string, dtype: string): void {
  if (dtype !== 'bfloat16') return;
  throw new RuntimeError(
    'runtime_program_invalid',
    `${what} is bfloat16, which cannot enter or leave a program: cast to float32 inside of it`,
  );
}
