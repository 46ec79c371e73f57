import type { DType } from '../tensor/dtype.ts';
import type { TensorValue } from '../tensor/value.ts';
import { DisposedError, messageOf, RuntimeError } from './error.ts';
import { tensorBytes } from './memory.ts';
import type { RemoteDescription } from './protocol.ts';
import type { RequestQueue } from './queue.ts';

/** Who owns a remote tensor: the session that computed it, or the runtime that it was uploaded to. */
export interface TensorOwner {
  readonly queue: RequestQueue;
  /** Called when the tensor is disposed by itself. */
  forget(tensor: RemoteTensor): void;
}

/**
 * A tensor that stays in the runtime's worker (or on its GPU): an output that a run kept, or an upload. It can be fed to
 * any session of the same runtime without crossing threads. It lives until it, its owner or the runtime is disposed.
 */
export class RemoteTensor implements AsyncDisposable {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Bytes of its elements. */
  readonly byteLength: number;
  /** The worker's number for it. */
  readonly id: number;
  readonly #owner: TensorOwner;
  #disposed: Promise<void> | undefined;

  /** Made by `Session.run` and `Runtime.upload`, not by users. */
  constructor(id: number, { dtype, shape }: RemoteDescription, owner: TensorOwner) {
    this.id = id;
    this.dtype = dtype;
    this.shape = shape;
    this.byteLength = tensorBytes(dtype, shape);
    this.#owner = owner;
  }

  get disposed(): boolean {
    return this.#disposed !== undefined;
  }

  /** The queue of the runtime that holds it; tells whether two tensors are of one runtime. */
  get queue(): RequestQueue {
    return this.#owner.queue;
  }

  /** Copies the elements to the caller's thread. Throws `DisposedError` after `dispose()`. */
  async read(): Promise<TensorValue> {
    if (this.#disposed) throw new DisposedError(`${this}`);
    try {
      return await this.queue.submit('read', { remote: this.id });
    } catch (error) {
      if (error instanceof RuntimeError) throw error;
      throw new RuntimeError('runtime_run_failed', `${this} cannot be read: ${messageOf(error)}`, {}, { cause: error });
    }
  }

  /** Frees it after all calls made so far; later uses throw `DisposedError`. Does nothing the second time. */
  dispose(): Promise<void> {
    if (!this.#disposed) {
      this.#owner.forget(this);
      this.#disposed = this.queue.release([], [this.id]);
    }
    return this.#disposed;
  }

  /** Its owner frees it, by `done`: nothing more is sent. */
  disposeWithOwner(done: Promise<void>): void {
    this.#disposed ??= done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  toString(): string {
    return `remote tensor ${this.dtype} [${this.shape.join(', ')}]`;
  }
}
