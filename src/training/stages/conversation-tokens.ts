/** Conversations of the world as token ids, with the template's frame encoded once. */
import type { WorldConversation } from '../../data/world/conversations.ts';
import { type ChatFormat, encodePieces, renderChatPieces } from '../../models/qwen25vl/chat.ts';
import { TrainingError } from '../error.ts';
import type { EncodedConversation } from '../packed-rows.ts';

export class ConversationTokens {
  readonly #format: ChatFormat;
  /** Before the question and after it, without and with a picture. */
  readonly #frames: Readonly<Record<'text' | 'picture', readonly [readonly number[], readonly number[]]>>;
  readonly #ends: Readonly<Record<'turn' | 'visionStart' | 'visionEnd', number>>;

  /** @param pictureTokens tokens that a picture takes. */
  constructor(format: ChatFormat, pictureTokens: number) {
    this.#format = format;
    const id = (token: string) => {
      const found = format.tokenizer.idOf(token);
      if (found === undefined) throw new TrainingError('training_option_invalid', `the tokenizer has no ${token}`);
      return found;
    };
    this.#ends = { turn: id('<|im_end|>'), visionStart: id('<|vision_start|>'), visionEnd: id('<|vision_end|>') };
    const frame = (image: boolean) => {
      const text = { type: 'text', text: 'text' } as const;
      const content = image ? [{ type: 'image' } as const, text] : [text];
      const pieces = renderChatPieces(format, [{ role: 'user', content }]);
      const at = pieces.findIndex(({ source }) => source === 'message');
      const sides = [pieces.slice(0, at), pieces.slice(at + 1)] as const;
      const [before, after] = sides.map((part) => encodePieces(format.tokenizer, part)) as [number[], number[]];
      const expanded = before.flatMap((token) =>
        token === format.imagePad ? new Array<number>(pictureTokens).fill(token) : token,
      );
      return [expanded, after] as const;
    };
    this.#frames = { text: frame(false), picture: frame(true) };
  }

  /** The same ids as `encodeChat` gives, and the answer with its end. */
  encode({ question, answer }: WorldConversation, about: 'text' | 'picture'): EncodedConversation {
    const { tokenizer } = this.#format;
    const [before, after] = this.#frames[about];
    const prompt = [...before, ...tokenizer.encodeOrdinary(question), ...after];
    const { turn, visionStart, visionEnd } = this.#ends;
    if (typeof answer === 'string') return { prompt, answer: [...tokenizer.encodeOrdinary(answer), turn] };
    const places = answer.cells.map((word) => this.wordOf(word));
    return { prompt: [...prompt, visionStart], answer: [...places, visionEnd] };
  }

  readonly #known = new Map<string, number>();

  /** A word with a space before it, which must be one token: a place of a picture is one. */
  wordOf(word: string): number {
    return this.tokenOf(` ${word}`);
  }

  /** @throws TrainingError for a text that is not one token */
  tokenOf(text: string): number {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const ids = this.#format.tokenizer.encodeOrdinary(text);
    if (ids.length !== 1) {
      const message = `the tokenizer takes ${ids.length} tokens for '${text}', expected 1; train it on texts with that word`;
      throw new TrainingError('training_option_invalid', message, { text });
    }
    this.#known.set(text, ids[0]!);
    return ids[0]!;
  }
}
