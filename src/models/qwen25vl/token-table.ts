/** What the tokenizers have in common that `tokenizer.json` describes: tokens by id and by text, added tokens, merges. */
import { z } from 'zod';
import { requireConfig } from '../config-error.ts';
import { PromptError } from './prompt-error.ts';

export const tokenIdSchema = z
  .int()
  .min(0)
  .max((1 << 24) - 1);
const off = z.literal(false).nullish();

/** Added tokens that stand for their very text: none that swallows blanks, asks for borders of words, or is normalized. */
export const addedTokensSchema = z
  .array(
    z.object({
      id: tokenIdSchema,
      content: z.string().min(1).max(256),
      single_word: off,
      lstrip: off,
      rstrip: off,
      normalized: off,
      special: z.boolean().default(false),
    }),
  )
  .max(4096)
  .default([]);

// One function over all: a union of schemas would note a fault for each of 151,000 merges in the other form.
export const mergesSchema = z
  .array(z.unknown())
  .refine(areMerges, { error: 'pairs of tokens, as "a b" or ["a", "b"]' });

function areMerges(merges: readonly unknown[]): boolean {
  const written = (merge: unknown) => typeof merge === 'string' && /^[^ ]+ [^ ]+$/.test(merge);
  const paired = (merge: unknown) =>
    Array.isArray(merge) && merge.length === 2 && merge.every((token) => typeof token === 'string' && token !== '');
  return merges.every(written) || merges.every(paired);
}

/** The part of a `tokenizer.json` that says which tokens there are. */
export interface TokenDescription {
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
  readonly added_tokens: z.output<typeof addedTokensSchema>;
}

/** Tokens by id and by text, and the bytes each stands for. */
export class TokenTable {
  readonly size: number;
  readonly #vocabulary: ReadonlyMap<string, number>;
  readonly #tokens: (string | undefined)[] = [];
  readonly #added = new Map<number, { readonly content: string; readonly special: boolean }>();
  readonly #addedIds = new Map<string, number>();
  readonly #addedPattern: RegExp | undefined;
  readonly #alphabet: ReadonlyMap<string, number>;

  constructor(description: TokenDescription, alphabet: ReadonlyMap<string, number>, file: string) {
    this.#alphabet = alphabet;
    this.#vocabulary = new Map(Object.entries(description.model.vocab));
    for (const character of alphabet.keys()) {
      requireConfig(this.#vocabulary.has(character), file, {
        path: 'model.vocab',
        expected: 'a token for each of the 256 bytes',
        got: `none for byte ${alphabet.get(character)}`,
      });
    }
    for (const [token, id] of this.#vocabulary) this.#place(token, id, file);
    for (const { id, content, special } of description.added_tokens) {
      requireConfig(!this.#addedIds.has(content), file, {
        path: 'added_tokens',
        expected: 'each token once',
        got: `${JSON.stringify(content)} twice`,
      });
      this.#place(content, id, file);
      this.#added.set(id, { content, special });
      this.#addedIds.set(content, id);
    }
    this.size = this.#tokens.length;
    // The leftmost match wins, and the longest of those: alternatives are tried in this order.
    const contents = [...this.#addedIds.keys()].sort((a, b) => b.length - a.length);
    const escaped = contents.map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
    this.#addedPattern = escaped.length === 0 ? undefined : new RegExp(`(${escaped.join('|')})`, 'u');
  }

  #place(token: string, id: number, file: string): void {
    const other = this.#tokens[id];
    requireConfig(other === undefined || other === token, file, {
      path: 'model.vocab, added_tokens',
      expected: 'one token an id',
      got: `${JSON.stringify(other)} and ${JSON.stringify(token)} for id ${id}`,
    });
    this.#tokens[id] = token;
  }

  contentOfAdded(id: number): string | undefined {
    return this.#added.get(id)?.content;
  }

  idOf(token: string): number | undefined {
    return this.#addedIds.get(token) ?? this.#vocabulary.get(token);
  }

  split(text: string): (string | number)[] {
    const pieces = this.#addedPattern === undefined ? [text] : text.split(this.#addedPattern);
    // The pattern has one group, so every second piece is an added token.
    return pieces
      .map((piece, index) => (index % 2 === 1 ? this.#addedIds.get(piece)! : piece))
      .filter((piece) => piece !== '');
  }

  bytesOf(id: number, skipSpecialTokens: boolean): Uint8Array {
    if (!Number.isSafeInteger(id) || id < 0) {
      throw new PromptError('prompt_invalid', `token id ${id}: expected a whole number of at least 0`, { id });
    }
    const added = this.#added.get(id);
    if (added !== undefined) {
      return added.special && skipSpecialTokens ? new Uint8Array() : new TextEncoder().encode(added.content);
    }
    const token = this.#tokens[id] ?? '';
    const bytes = Array.from(token, (character) => this.#alphabet.get(character));
    // A token outside of the byte alphabet stands for itself, as in the Rust crate.
    return bytes.includes(undefined) ? new TextEncoder().encode(token) : Uint8Array.from(bytes as number[]);
  }
}
