/**
 * Whether a model is another one with something trained on top of it: which parts' numbers are equal in every bit, and whether
 * questions are answered with equal logits. The promise of the scheme, checked on any two folders.
 */
import type { TensorEntry } from '../../checkpoint/entry.ts';
import { openCheckpoint } from '../../checkpoint/open.ts';
import type { Checkpoint } from '../../checkpoint/source.ts';
import type { World } from '../../data/world/world.ts';
import { partOf } from '../../models/star/weights.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { answerLogits, sceneQuestions } from './logits.ts';

export interface ComparedPart {
  /** `base AR`. */
  readonly part: string;
  /** Tensors that both have, equal in every bit. */
  readonly equal: number;
  /** Names of tensors that differ, in numbers or in shape. */
  readonly changed: readonly string[];
  /** Names of tensors that only the model before has. */
  readonly lost: readonly string[];
  /** Names of tensors that only the model after has. */
  readonly added: readonly string[];
}

export interface ComparedAnswers {
  readonly asked: number;
  /** Questions whose logits are equal in every bit. */
  readonly equal: number;
  /** The first few whose logits are not. */
  readonly different: readonly string[];
}

/** Parts in the order in which they come, those of the model before first. */
export async function compareParameters(before: StarModel, after: StarModel): Promise<ComparedPart[]> {
  const [old, now] = [before.weights.entries, after.weights.entries];
  await using files = new OpenFiles();
  const parts = new Map<string, { part: string; equal: number; changed: string[]; lost: string[]; added: string[] }>();
  for (const name of new Set([...old.keys(), ...now.keys()])) {
    const part = partOf(name);
    const row = parts.get(part) ?? { part, equal: 0, changed: [], lost: [], added: [] };
    parts.set(part, row);
    const [was, is] = [old.get(name), now.get(name)];
    if (!is) row.lost.push(name);
    else if (!was) row.added.push(name);
    else if (was.shape.join() === is.shape.join() && (await files.bytes(was)).equals(await files.bytes(is)))
      row.equal++;
    else row.changed.push(name);
  }
  return [...parts.values()];
}

/** Checkpoints, each opened once. */
class OpenFiles implements AsyncDisposable {
  readonly #opened = new Map<string, Checkpoint>();

  /** Numbers as float32, bit by bit: −0 is not 0. 16-bit numbers are equal where their float32 forms are. */
  async bytes({ file, name }: TensorEntry): Promise<Buffer> {
    const checkpoint = this.#opened.get(file) ?? (await openCheckpoint(file));
    this.#opened.set(file, checkpoint);
    const { data } = await checkpoint.readFloat32(name);
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const checkpoint of this.#opened.values()) await checkpoint[Symbol.asyncDispose]();
  }
}

export interface CompareAnswersOptions {
  readonly world: World;
  readonly questions: number;
  readonly seed: number;
  /** Called after each question. */
  readonly onQuestion?: (done: number, total: number) => void;
}

/**
 * Asks both the same questions about scenes of the closed world.
 * @param before, after opened with `trace`
 */
export async function compareAnswers(
  before: StarModel,
  after: StarModel,
  { world, questions, seed, onQuestion }: CompareAnswersOptions,
): Promise<ComparedAnswers> {
  const list = sceneQuestions(world, questions, seed);
  const different: string[] = [];
  for (const [index, each] of list.entries()) {
    const [was, is] = [await answerLogits(before, world, each), await answerLogits(after, world, each)];
    if (!was.equals(is)) different.push(each.question);
    onQuestion?.(index + 1, list.length);
  }
  return { asked: list.length, equal: list.length - different.length, different: different.slice(0, 5) };
}
