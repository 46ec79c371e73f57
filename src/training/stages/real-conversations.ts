/** What the understanding stage learns from real conversations: rows of dialogues, each with its picture or none. */
import { type AlternatingPart, openAlternating } from '../../data/sources/alternating.ts';
import { openConversations } from '../../data/sources/open.ts';
import type { ConversationConfig } from '../../data/sources/options.ts';
import type { ConversationSample } from '../../data/sources/sample.ts';
import type { Cursor, SampleStream, SkippedSample } from '../../data/stream.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { TrainingError } from '../error.ts';
import { packedLength } from '../packed-rows.ts';
import { asOneTurn, type Dialogue, encodeDialogue, packDialogues, turnLength } from './dialogues.ts';
import { drawnPicture } from './drawn-picture.ts';
import { first, type Sources } from './real-data.ts';
import {
  answerTokens,
  checkPictures,
  type LabelledRow,
  type UnderstandingData,
  type UnderstandingSettings,
} from './understanding-task.ts';

/**
 * The first `pictures` rows of a batch hold a conversation about a picture each. The others hold those about none, as
 * many as fit; the same files are read for them, at a pace of their own. Where all rows show a picture, conversations
 * without one are skipped. A conversation that is too long is cut after the last turn that fits.
 * @throws TrainingError where the data asks for pictures of another size than the stage's
 */
export async function realConversations(
  { train, heldOut }: Sources<ConversationConfig>,
  model: StarModel,
  settings: UnderstandingSettings,
): Promise<UnderstandingData> {
  const { batch, pictures, tokens, heldOutBatches } = settings;
  const { imageSize } = model.folder.star.pixelEncoder;
  const pictureTokens = drawnPicture(model).tokens;
  checkPictures(settings);
  for (const [which, { square }] of Object.entries({ train, heldOut })) {
    if (square === undefined || square.size === imageSize) continue;
    const message = `data.${which}.square.size is ${square.size}: expected ${imageSize}, as the model's pictures have`;
    throw new TrainingError('training_option_invalid', message);
  }

  const fitting = ({ image, messages }: ConversationSample): Dialogue => {
    const whole = encodeDialogue(model.chat, messages, pictureTokens);
    const turns = whole.filter((turn) => turnLength(turn) <= tokens);
    if (turns.length === 0) throw unusable(`its first turn has ${turnLength(whole[0]!)} tokens, tokens is ${tokens}`);
    if (image && !turns[0]!.prompt.includes(model.chat.imagePad)) {
      throw unusable('its picture stands behind the first question');
    }
    return turns;
  };
  const shown = (sample: ConversationSample): LabelledRow => {
    if (sample.image) return rowOf([fitting(sample)], sample.image);
    throw unusable('it shows no picture, as all rows do: pictures is the batch');
  };
  const texts = batch - pictures;
  const open = (config: ConversationConfig, cursor?: Cursor): Promise<SampleStream<LabelledRow>> => {
    // The whole picture: what an answer speaks of must not be cut off.
    const square = config.square ?? { size: imageSize, crop: 'pad' };
    const complete = { ...config, seed: config.seed ?? settings.seed, square };
    const about = texts > 0 ? 'picture' : 'any';
    const parts: AlternatingPart<LabelledRow>[] = [
      { name: 'pictures', count: pictures, open: (at) => openConversations(complete, { about, make: shown }, at) },
    ];
    if (texts > 0) {
      const dialogues = (at: Cursor | undefined) => openConversations(complete, { about: 'text', make: fitting }, at);
      parts.push({
        name: 'texts',
        count: texts,
        open: async (at) => new DialogueRows(await dialogues(at), tokens),
      });
    }
    return openAlternating(parts, cursor);
  };
  const held = await first(await open(heldOut), heldOutBatches * batch);
  return { open: (cursor) => open(train, cursor), heldOut: () => held, description: { data: train } };
}

function unusable(reason: string): TrainingError {
  return new TrainingError('batch_invalid', reason);
}

function rowOf(dialogues: readonly Dialogue[], image: RgbImage | undefined): LabelledRow {
  const row = packDialogues(dialogues);
  const kinds = row.conversations.map(() => answerTokens);
  return image ? { row, kinds, image } : { row, kinds };
}

/** Rows of as many conversations without a picture as fit, in the order in which they come. */
class DialogueRows implements SampleStream<LabelledRow> {
  readonly #inner: SampleStream<Dialogue>;
  readonly #tokens: number;
  /** The one that did not fit the row before. */
  #held: Dialogue | undefined;
  /** The place after all that rows hold: who goes on there reads again what is held. */
  #cursor: Cursor;

  constructor(inner: SampleStream<Dialogue>, tokens: number) {
    this.#inner = inner;
    this.#tokens = tokens;
    this.#cursor = inner.cursor();
  }

  get skipped(): readonly SkippedSample[] {
    return this.#inner.skipped;
  }

  get skippedCount(): number {
    return this.#inner.skippedCount;
  }

  async next(count: number): Promise<LabelledRow[]> {
    const rows: LabelledRow[] = [];
    while (rows.length < count) rows.push(await this.#row());
    return rows;
  }

  cursor(): Cursor {
    return this.#cursor;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }

  async #row(): Promise<LabelledRow> {
    const dialogues: Dialogue[] = [];
    for (;;) {
      const next = this.#held ?? (await this.#inner.next(1))[0]!;
      this.#held = undefined;
      if (dialogues.length > 0 && packedLength([...dialogues, next].map(asOneTurn)) > this.#tokens) {
        this.#held = next;
        return rowOf(dialogues, undefined);
      }
      dialogues.push(next);
      this.#cursor = this.#inner.cursor();
    }
  }
}
