/** Conversations of several turns as token ids, and in rows: each turn's answer is said with all before it in sight. */
import {
  type ChatFormat,
  type ChatMessage,
  type ChatPiece,
  encodePieces,
  renderChatPieces,
} from '../../models/qwen25vl/chat.ts';
import { TrainingError } from '../error.ts';
import { type EncodedConversation, type PackedRow, packRow } from '../packed-rows.ts';

/** The turns of a conversation, at least one: each begins with the prompt and the answer of the one before. */
export type Dialogue = readonly EncodedConversation[];

/**
 * Encodes a conversation that ends with an answer. Prompts are those of `encodeChat`; answers have the end of the turn.
 * @param pictureTokens tokens that a picture takes
 * @throws PromptError for one beyond the template's limits, TrainingError for a template that ends turns in another way
 */
export function encodeDialogue(format: ChatFormat, messages: readonly ChatMessage[], pictureTokens: number): Dialogue {
  const { tokenizer, imagePad } = format;
  const turnEnd = tokenizer.idOf('<|im_end|>');
  const wrong = () =>
    new TrainingError('training_option_invalid', 'the chat template does not end an answer with <|im_end|>');
  if (turnEnd === undefined) throw wrong();
  // Whose each text is, in order.
  const speakers = messages
    .flatMap(({ role, content }) =>
      typeof content === 'string' ? [role] : content.filter(({ type }) => type === 'text').map(() => role),
    )
    .values();
  const turns: EncodedConversation[] = [];
  let ids: readonly number[] = [];
  let pending: ChatPiece[] = [];
  const encoded = (pieces: readonly ChatPiece[]) => {
    const own = encodePieces(tokenizer, pieces);
    if (turns.length === 0) return own;
    // The answer has it already.
    if (own[0] !== turnEnd) throw wrong();
    return own.slice(1);
  };
  for (const piece of renderChatPieces(format, messages, { addGenerationPrompt: false })) {
    if (piece.source === 'template' || speakers.next().value !== 'assistant') {
      pending.push(piece);
      continue;
    }
    const between = encoded(pending).flatMap((id) =>
      id === imagePad ? new Array<number>(pictureTokens).fill(id) : id,
    );
    const prompt = [...ids, ...between];
    const answer = [...tokenizer.encodeOrdinary(piece.text), turnEnd];
    turns.push({ prompt, answer });
    ids = [...prompt, ...answer];
    pending = [];
  }
  encoded(pending);
  return turns;
}

/** Tokens of a turn with all before it. */
export function turnLength({ prompt, answer }: EncodedConversation): number {
  return prompt.length + answer.length;
}

/** A dialogue as one conversation with one long answer. */
export function asOneTurn(dialogue: Dialogue): EncodedConversation {
  const { prompt } = dialogue[0]!;
  const last = dialogue.at(-1)!;
  return { prompt, answer: [...last.prompt, ...last.answer].slice(prompt.length) };
}

/**
 * Lays dialogues out in a row as `packRow` lays out conversations: what they begin with alike stands once, each sees
 * that and itself. The row's conversations are the turns of all, and only their answers are to be said.
 */
export function packDialogues(dialogues: readonly Dialogue[]): PackedRow {
  const row = packRow(dialogues.map(asOneTurn));
  const firsts: number[] = [];
  const turns: EncodedConversation[] = [];
  for (const dialogue of dialogues) {
    firsts.push(turns.length);
    turns.push(...dialogue);
  }
  const places = row.places.map(({ conversation, index }) => {
    const turn = dialogues[conversation]!.findIndex((each) => index < turnLength(each));
    return { conversation: firsts[conversation]! + turn, index };
  });
  return { ...row, places, conversations: turns };
}
