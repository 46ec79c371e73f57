/**
 * Trains a byte-level BPE tokenizer: Sennrich, Haddow & Birch 2016 (https://arxiv.org/abs/1508.07909) over the bytes of
 * UTF-8, with GPT-2's alphabet and Qwen's pre-tokenization. The most frequent pair of neighbours is merged again and
 * again; of equally frequent pairs the one with the smaller ids, as in the Rust `tokenizers` crate. Nothing depends on
 * chance or on the order of the texts.
 *
 * Texts are data: the spelling of a special token in them is counted as any other characters.
 */
import { byteAlphabet } from '../../models/qwen25vl/tokenizer.ts';
import { TrainingError } from '../error.ts';
import { PairQueue } from './pair-queue.ts';

export interface BpeOptions {
  /** Tokens of the result at most, the 256 bytes among them; fewer where the texts give no more pairs. */
  readonly vocabularySize: number;
  /** Words that become one token each, whatever the texts hold. Default none. */
  readonly wholeWords?: readonly string[];
  /** A pair seen less often is not merged. Default 2. */
  readonly minimumCount?: number;
}

/** Tokens in the byte alphabet; a token's place is its id. */
export interface BpeVocabulary {
  readonly tokens: readonly string[];
  /** Pairs of tokens, the first merged first. */
  readonly merges: readonly (readonly [string, string])[];
}

/**
 * Qwen's pattern (`qwenPattern`) as JavaScript of every supported version reads it: inline `(?i:` is too new. Where the
 * two could differ, in what counts as white space beyond Latin-1, only counts of the training are touched.
 */
const words =
  /'(?:[sS\u017f]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+/gu;

/** JSON objects lose this key in some readers; no token is made of it. */
const unsafeToken = '__proto__';

/** Above every count of real texts, so that the whole words are merged before all else. */
const wholeWordCount = 2 ** 40;

/**
 * @param texts read once, one after another; a few megabytes take seconds.
 * @throws TrainingError when the vocabulary is smaller than the alphabet and the whole words need.
 */
export function trainBpe(texts: Iterable<string>, options: BpeOptions): BpeVocabulary {
  const { vocabularySize, wholeWords = [], minimumCount = 2 } = options;
  const alphabet = [...byteAlphabet()].sort(([a], [b]) => (a < b ? -1 : 1));
  if (!Number.isSafeInteger(vocabularySize) || vocabularySize < alphabet.length || vocabularySize > maximumVocabulary) {
    const expected = `a whole number from ${alphabet.length}, one token a byte, to ${maximumVocabulary}`;
    throw new TrainingError(
      'training_option_invalid',
      `tokenizer: vocabulary size ${vocabularySize}: expected ${expected}`,
    );
  }
  const idOfByte = new Array<number>(256);
  for (const [id, [, byte]] of alphabet.entries()) idOfByte[byte] = id;
  const corpus = new Corpus(countWords(texts, wholeWords), idOfByte);

  const tokens = alphabet.map(([character]) => character);
  const idOfToken = new Map(tokens.map((token, id) => [token, id]));
  const merges: [string, string][] = [];
  const known = new Set<number>();
  while (tokens.length < vocabularySize) {
    const pair = corpus.mostFrequent(minimumCount);
    if (!pair) break;
    const [left, right] = [tokens[pair.left]!, tokens[pair.right]!];
    const token = left + right;
    if (token === unsafeToken) {
      corpus.forget(pair);
      continue;
    }
    // Two pairs can spell the same token, and the second makes pairs of the first appear again.
    let id = idOfToken.get(token);
    if (id === undefined) {
      id = tokens.length;
      tokens.push(token);
      idOfToken.set(token, id);
    }
    const key = pairKey(pair.left, pair.right);
    if (!known.has(key)) merges.push([left, right]);
    known.add(key);
    corpus.merge(pair, id);
  }
  requireWhole(wholeWords, idOfToken, idOfByte, tokens, vocabularySize);
  return { tokens, merges };
}

function countWords(texts: Iterable<string>, wholeWords: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (text: string, weight: number) => {
    // As in encoding: half a surrogate pair counts as U+FFFD, and letters and their accents are composed.
    for (const [word] of text
      .replace(/\p{Surrogate}/gu, '\ufffd')
      .normalize('NFC')
      .matchAll(words)) {
      counts.set(word, (counts.get(word) ?? 0) + weight);
    }
  };
  for (const word of wholeWords) count(word, wholeWordCount);
  for (const text of texts) count(text, 1);
  return counts;
}

function requireWhole(
  wholeWords: readonly string[],
  ids: ReadonlyMap<string, number>,
  idOfByte: readonly number[],
  tokens: readonly string[],
  vocabularySize: number,
): void {
  for (const word of wholeWords) {
    const spelling = Array.from(Buffer.from(word.normalize('NFC')), (byte) => tokens[idOfByte[byte]!]).join('');
    if (ids.has(spelling)) continue;
    const message = `tokenizer: ${JSON.stringify(word)} does not become one token in a vocabulary of ${vocabularySize}`;
    throw new TrainingError('training_option_invalid', message, { word });
  }
}

interface Pair {
  readonly left: number;
  readonly right: number;
}

/** Ids stay below this, so that a pair of them is one exact number. */
const maximumVocabulary = 1 << 24;

function pairKey(left: number, right: number): number {
  return left * maximumVocabulary + right;
}

/** The distinct words as ids, and how often each pair of neighbours stands in them. */
class Corpus {
  readonly #words: number[][] = [];
  readonly #weights: number[] = [];
  readonly #counts = new Map<number, number>();
  /** Words that held a pair when it was counted; they may have lost it since. */
  readonly #places = new Map<number, Set<number>>();
  readonly #queue = new PairQueue();

  constructor(counts: ReadonlyMap<string, number>, idOfByte: readonly number[]) {
    for (const [word, weight] of counts) {
      this.#words.push(Array.from(Buffer.from(word), (byte) => idOfByte[byte]!));
      this.#weights.push(weight);
    }
    for (const index of this.#words.keys()) this.#add(index);
    for (const [key, count] of this.#counts) this.#queue.push(count, key);
  }

  /** Undefined when no pair stands there `minimum` times. */
  mostFrequent(minimum: number): Pair | undefined {
    while (true) {
      const top = this.#queue.pop();
      if (!top) return undefined;
      const count = this.#counts.get(top.key) ?? 0;
      if (count === top.count && count >= minimum) {
        return { left: Math.floor(top.key / maximumVocabulary), right: top.key % maximumVocabulary };
      }
      // Counts that rose were queued then; one that fell takes its new place.
      if (count < top.count && count >= minimum) this.#queue.push(count, top.key);
    }
  }

  forget({ left, right }: Pair): void {
    this.#counts.set(pairKey(left, right), Number.NEGATIVE_INFINITY);
  }

  /** Puts `id` in the place of every such pair. */
  merge({ left, right }: Pair, id: number): void {
    const key = pairKey(left, right);
    const places = this.#places.get(key) ?? [];
    this.#places.delete(key);
    const grown = new Set<number>();
    for (const index of places) {
      const word = this.#words[index]!;
      const joined = join(word, left, right, id);
      if (joined.length === word.length) continue;
      this.#remove(index);
      this.#words[index] = joined;
      for (const added of this.#add(index)) grown.add(added);
    }
    for (const added of grown) {
      const count = this.#counts.get(added);
      if (count !== undefined && added !== key) this.#queue.push(count, added);
    }
  }

  #add(index: number): number[] {
    const word = this.#words[index]!;
    const weight = this.#weights[index]!;
    const keys: number[] = [];
    for (let place = 1; place < word.length; place++) {
      const key = pairKey(word[place - 1]!, word[place]!);
      keys.push(key);
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + weight);
      const places = this.#places.get(key);
      if (places) places.add(index);
      else this.#places.set(key, new Set([index]));
    }
    return keys;
  }

  #remove(index: number): void {
    const word = this.#words[index]!;
    const weight = this.#weights[index]!;
    for (let place = 1; place < word.length; place++) {
      const key = pairKey(word[place - 1]!, word[place]!);
      const count = this.#counts.get(key)! - weight;
      if (count === 0) this.#counts.delete(key);
      else this.#counts.set(key, count);
    }
  }
}

function join(word: readonly number[], left: number, right: number, id: number): number[] {
  const joined: number[] = [];
  for (let place = 0; place < word.length; place++) {
    if (word[place] === left && word[place + 1] === right) {
      joined.push(id);
      place++;
    } else joined.push(word[place]!);
  }
  return joined;
}
