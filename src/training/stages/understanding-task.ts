/** Stage 0: a base of our own learns to read, to see and to answer, in the closed world or from real conversations. */

import { IndexedStream } from '../../data/indexed-stream.ts';
import type { Cursor, SampleStream } from '../../data/stream.ts';
import { cellWords } from '../../data/world/cell-words.ts';
import { pictureConversations, textConversations, type WorldConversation } from '../../data/world/conversations.ts';
import type { World } from '../../data/world/world.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { TrainingError } from '../error.ts';
import { type EncodedConversation, packedLength, packRow } from '../packed-rows.ts';
import type { TrainingTask } from '../task.ts';
import {
  UnderstandingBatch,
  type UnderstandingParts,
  type UnderstandingRow,
  type UnderstandingShapes,
  understandingStage,
} from '../understanding-loss.ts';
import { ConversationTokens } from './conversation-tokens.ts';
import { drawnPicture } from './drawn-picture.ts';
import { EvaluationProgram, nothingFrozen } from './evaluation-program.ts';
import { StreamData } from './stream-data.ts';
import { conversationOptions, heldOutFrom } from './world-data.ts';

export interface UnderstandingSettings {
  /** Rows of a step. */
  readonly batch: number;
  /** How many of them show a picture; at least 1. */
  readonly pictures: number;
  /** Tokens of a row: as many conversations as fit. */
  readonly tokens: number;
  readonly seed: number;
  /** Decoder and semantic encoder, or the decoder alone. */
  readonly train: UnderstandingParts;
  /** Batches of held-out scenes that previews measure. */
  readonly heldOutBatches: number;
}

/** A row, and of each of its conversations what kind it is. */
export interface LabelledRow extends UnderstandingRow {
  readonly kinds: readonly (WorldConversation['kind'] | typeof answerTokens)[];
}

/** The kind of real answers. */
export const answerTokens = 'answer tokens' as const;

export interface UnderstandingData {
  /** A batch after another: first the rows that show a picture. */
  open(cursor: Cursor | undefined): SampleStream<LabelledRow> | Promise<SampleStream<LabelledRow>>;
  /** Whole batches that previews measure. */
  heldOut(): readonly LabelledRow[];
  /** What decides the data, for the saved configuration. */
  readonly description: Readonly<Record<string, unknown>>;
}

/** What a picture's token counts when it says what stands in its place, where an answer of one token counts 1. */
const pictureWeight = 0.1;

/** Throws TrainingError unless some rows of a batch show a picture. */
export function checkPictures({ pictures, batch }: Pick<UnderstandingSettings, 'pictures' | 'batch'>): void {
  if (pictures >= 1 && pictures <= batch) return;
  throw new TrainingError('training_option_invalid', `pictures is ${pictures}: expected 1 to the batch, ${batch}`);
}

/** Conversations about scenes of the world, as many a row as fit. */
export function worldConversations(
  model: StarModel,
  world: World,
  settings: Pick<UnderstandingSettings, 'batch' | 'pictures' | 'tokens' | 'seed' | 'heldOutBatches'>,
): UnderstandingData {
  const { imageSize, gridSize } = model.folder.star.pixelEncoder;
  const { seed, batch, pictures } = settings;
  const { tokens: pictureTokens } = drawnPicture(model);
  // Pictures are square.
  const pictureGrid = Math.sqrt(pictureTokens);
  const tokens = new ConversationTokens(model.chat, pictureTokens);
  const options = {
    exclude: conversationOptions(world, gridSize, 'exclude'),
    any: conversationOptions(world, gridSize, 'any'),
  };

  const row = (index: number, place: number, held: 'exclude' | 'any'): LabelledRow => {
    if (place < pictures) {
      const scene = world.scene(seed, index, held);
      const packed = fill(pictureConversations(scene, index, options[held]), 'picture');
      const ids = cellWords(scene, pictureGrid).map((word) => tokens.wordOf(word));
      return { ...packed, image: world.render(scene, imageSize), pictureTargets: { ids, weight: pictureWeight } };
    }
    // A text's scenes are apart from those of pictures.
    const scenes = (turn: number) => world.scene(seed + 1, index * 64 + turn, held);
    return fill(textConversations(scenes, index, options[held]), 'text');
  };

  function fill(source: Generator<WorldConversation, never, void>, about: 'picture' | 'text'): LabelledRow {
    const conversations: EncodedConversation[] = [];
    const kinds: WorldConversation['kind'][] = [];
    // What does not fit is left; a few more are tried, since some are short.
    for (let misses = 0; misses < 4; ) {
      const next = source.next().value;
      const encoded = tokens.encode(next, about);
      if (packedLength([...conversations, encoded]) > settings.tokens) misses++;
      else {
        // Nearer to counting answers than tokens: a picture's 64 places, where much is left to chance, would drown a yes.
        conversations.push({ ...encoded, weight: encoded.answer.length ** -0.75 });
        kinds.push(next.kind);
      }
    }
    if (conversations.length > 0) return { row: packRow(conversations), kinds };
    throw new TrainingError('training_option_invalid', `rows of ${settings.tokens} tokens hold no conversation`);
  }

  return {
    open: (cursor) => new IndexedStream((index) => row(index, index % batch, 'exclude'), cursor),
    heldOut: () =>
      Array.from({ length: settings.heldOutBatches * batch }, (_, at) => row(heldOutFrom + at, at % batch, 'any')),
    description: { profile: world.profile },
  };
}

export function understandingTask(
  model: StarModel,
  data: UnderstandingData,
  settings: UnderstandingSettings,
): TrainingTask {
  const { qwen } = model.folder;
  const { batch, pictures, train } = settings;
  checkPictures(settings);
  const { grid } = drawnPicture(model);
  const shapes: UnderstandingShapes = { rows: batch, tokens: settings.tokens, pictures, grid, train };
  const stage = understandingStage(qwen, shapes);
  const feeds = new UnderstandingBatch(qwen, model.imageProcessor, shapes);
  const { declare: declareFrozen, folder: weightsFolder } = model.weights;
  const frozen = train === 'base' ? { declareFrozen, weightsFolder } : nothingFrozen;
  const evaluation = new EvaluationProgram(stage, frozen, model.runtime);

  return {
    stage,
    configuration: { ...settings, ...data.description, sizes: { text: qwen.text, vision: qwen.vision } },
    ...frozen,
    start: (name) => model.weights.read(name),
    openData: (cursor) => StreamData.open(data.open, batch, async (rows) => feeds.feeds(rows), cursor),
    preview: async (weights) => {
      const rows = data.heldOut();
      const batches = Array.from({ length: settings.heldOutBatches }, (_, at) =>
        rows.slice(at * batch, (at + 1) * batch),
      );
      const results = await evaluation.run(
        weights,
        batches.map((rows) => feeds.feeds(rows)),
      );
      return { numbers: accuracies(batches, results, settings.tokens) };
    },
  };
}

/**
 * Share of conversations whose answer is right in every token, given those before: what greedy decoding answers. By kind;
 * `picture cells` and `cells` by token, since a long answer leaves much to chance, and real answers too.
 */
function accuracies(
  batches: readonly (readonly LabelledRow[])[],
  results: readonly Record<string, TensorValue>[],
  tokens: number,
): Record<string, number> {
  const counts = new Map<string, { right: number; all: number }>();
  const count = (kind: string, right: number) => {
    const entry = counts.get(kind) ?? { right: 0, all: 0 };
    counts.set(kind, { right: entry.right + right, all: entry.all + 1 });
  };
  batches.forEach((rows, at) => {
    const right = results[at]!.right!.data as Float32Array;
    rows.forEach(({ row, kinds }, rowIndex) => {
      const hits: number[][] = kinds.map(() => []);
      row.places.forEach(({ conversation, index }, place) => {
        const { prompt, answer } = row.conversations[conversation]!;
        const next = index + 1 - prompt.length;
        if (row.segments[place]! > 0 && next >= 0 && next < answer.length) {
          hits[conversation]!.push(right[rowIndex * tokens + place]!);
        }
      });
      hits.forEach((own, conversation) => {
        const kind = kinds[conversation]!;
        if (kind.endsWith('cells') || kind === answerTokens) for (const hit of own) count(kind, hit);
        else count(kind, own.every((hit) => hit === 1) ? 1 : 0);
      });
    });
  });
  const loss = results.reduce((sum, result) => sum + (result.loss!.data as Float32Array)[0]!, 0) / results.length;
  return {
    held_out_loss: loss,
    ...Object.fromEntries([...counts].sort().map(([kind, { right, all }]) => [`held_out ${kind}`, right / all])),
  };
}
