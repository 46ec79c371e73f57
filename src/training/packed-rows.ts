/**
 * Several conversations in one row of a batch. They share what they begin with alike (the template's opening, a picture),
 * which is computed once; what follows of each sees the shared beginning and itself, and takes its positions as if it
 * stood alone. So a row gives the losses of its conversations computed one by one, at a fraction of the work.
 */
import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import { type GridThw, mropePositions, rotaryTables } from '../models/qwen25vl/positions.ts';
import { maskedScore } from '../nn/attention.ts';
import {
  and,
  arange,
  equal,
  lessOrEqual,
  or,
  scalar,
  type Tensor,
  type TensorValue,
  unsqueeze,
  where,
} from '../tensor/index.ts';

/** One question and its answer as token ids, the picture's places holding image tokens. */
export interface EncodedConversation {
  /** Up to and with the opening of the assistant's turn. */
  readonly prompt: readonly number[];
  /** What is to be said, with the token that ends the turn. */
  readonly answer: readonly number[];
  /** What each token of the answer counts in the loss. Default 1. */
  readonly weight?: number;
}

/** A row that is being filled. */
export interface PackedRow {
  /** Tokens that all conversations share. */
  readonly shared: number;
  readonly ids: readonly number[];
  /** 0 for shared tokens, then 1, 2, … by conversation; −1 where nothing stands. */
  readonly segments: readonly number[];
  /** Place of each token in its own conversation, and which conversation that is. */
  readonly places: readonly { readonly conversation: number; readonly index: number }[];
  readonly conversations: readonly EncodedConversation[];
}

/** Tokens that a row of these conversations takes. */
export function packedLength(conversations: readonly EncodedConversation[]): number {
  const shared = sharedLength(conversations);
  return conversations.reduce((sum, { prompt, answer }) => sum + prompt.length + answer.length - shared, shared);
}

/** Lays conversations out in a row of their own length. At least one; each with a prompt and an answer. */
export function packRow(conversations: readonly EncodedConversation[]): PackedRow {
  const shared = sharedLength(conversations);
  const ids = [...conversations[0]!.prompt.slice(0, shared)];
  const segments = new Array<number>(shared).fill(0);
  const places = ids.map((_, index) => ({ conversation: 0, index }));
  conversations.forEach(({ prompt, answer }, conversation) => {
    const own = [...prompt, ...answer].slice(shared);
    own.forEach((id, offset) => {
      ids.push(id);
      segments.push(conversation + 1);
      places.push({ conversation, index: shared + offset });
    });
  });
  return { shared, ids, segments, places, conversations };
}

/** How many tokens all begin with; at least one of each prompt stays its own, since what predicts an answer is not shared. */
function sharedLength(conversations: readonly EncodedConversation[]): number {
  const [first] = conversations;
  const most = Math.min(...conversations.map(({ prompt }) => prompt.length - 1));
  let length = 0;
  while (length < most && conversations.every(({ prompt }) => prompt[length] === first!.prompt[length])) length++;
  return length;
}

/** What rows of one batch look like: `[rows, tokens]`. */
export interface RowShapes {
  readonly rows: number;
  readonly tokens: number;
}

/**
 * Feeds of packed rows: `token_ids`, `segments` and `targets [rows, tokens]` int64, `target_weights [rows, tokens]`, and
 * rotary tables `cosine`, `sine [rows * tokens, headDim / 2]` with a row for each token.
 * @param grids the picture of each row, where it has one.
 * @throws RangeError for a row longer than the shapes allow.
 */
export function rowFeeds(
  rows: readonly PackedRow[],
  grids: readonly (GridThw | undefined)[],
  { text, tokens, vision }: Qwen25VLConfig,
  shapes: RowShapes,
): Record<'token_ids' | 'segments' | 'targets' | 'target_weights' | 'cosine' | 'sine', TensorValue> {
  const count = shapes.rows * shapes.tokens;
  const ids = new BigInt64Array(count);
  const segments = new BigInt64Array(count).fill(-1n);
  const targets = new BigInt64Array(count);
  const weights = new Float32Array(count);
  const positions = new Int32Array(3 * count);
  rows.forEach((row, rowIndex) => {
    if (row.ids.length > shapes.tokens) {
      throw new RangeError(`a row of ${row.ids.length} tokens in a program for ${shapes.tokens}`);
    }
    const grid = grids[rowIndex];
    const own = row.conversations.map(({ prompt, answer }) =>
      mropePositions([...prompt, ...answer], tokens, grid ? [grid] : [], vision.spatialMergeSize),
    );
    const start = rowIndex * shapes.tokens;
    row.places.forEach(({ conversation, index }, place) => {
      const at = start + place;
      const { prompt, answer, weight = 1 } = row.conversations[conversation]!;
      ids[at] = BigInt(row.ids[place]!);
      segments[at] = BigInt(row.segments[place]!);
      const next = index + 1 - prompt.length;
      if (next >= 0 && next < answer.length) {
        targets[at] = BigInt(answer[next]!);
        weights[at] = weight;
      }
      const { positions: all, sequence } = own[conversation]!;
      for (let axis = 0; axis < 3; axis++) positions[axis * count + at] = all[axis * sequence + index]!;
    });
  });
  const shape = [shapes.rows, shapes.tokens];
  const { cos, sin } = rotaryTables(positions, text.headDim, text.ropeTheta, text.mropeSection);
  return {
    token_ids: { dtype: 'int64', shape, data: ids },
    segments: { dtype: 'int64', shape, data: segments },
    targets: { dtype: 'int64', shape, data: targets },
    target_weights: { dtype: 'float32', shape, data: weights },
    cosine: { dtype: 'float32', shape: [count, text.headDim / 2], data: cos },
    sine: { dtype: 'float32', shape: [count, text.headDim / 2], data: sin },
  };
}

/** `segments [rows, tokens]` to the additive mask `[rows, 1, tokens, tokens]`: what is shared, and one's own so far. */
export function segmentMask(segments: Tensor): Tensor {
  const places = arange(segments.shape[1]!);
  const causal = lessOrEqual(unsqueeze(places, 0), unsqueeze(places, 1));
  const keys = unsqueeze(segments, 1);
  const seen = or(equal(keys, unsqueeze(segments, 2)), equal(keys, 0));
  return unsqueeze(where(and(seen, causal), scalar('float32', 0), maskedScore), 1);
}
