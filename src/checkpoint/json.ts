/**
 * A strict JSON reader for headers from strangers (RFC 8259).
 *
 * Where it departs from `JSON.parse`: an object is a Map, so no key has a special meaning; a repeated key is an error
 * instead of a silent overwrite; integers are BigInt, so none is rounded; depth and number of values are limited.
 */

/** A JSON value: integers without fraction and exponent are BigInt, other numbers are numbers. */
export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | Map<string, JsonValue>;

export interface JsonLimits {
  /** How deep arrays and objects may nest. */
  readonly depth: number;
  /** How many values there may be in all. */
  readonly values: number;
}

/** Why a text is no acceptable JSON; `position` counts UTF-16 units. */
export class JsonSyntaxError extends Error {
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

const numberPattern = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these in strings.
const plainPattern = /[^"\\\u0000-\u001f]*/y;
const spacePattern = /[ \t\r\n]*/y;
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
/** Longer integers mean nothing here, and very long ones would be slow to convert. */
const maximumIntegerLength = 40;

export function parseJson(text: string, limits: JsonLimits): JsonValue {
  const reader = new JsonReader(text, limits);
  const value = reader.value(0);
  reader.skipSpace();
  if (reader.position < text.length) reader.fail('text after the end of the JSON value');
  return value;
}

class JsonReader {
  position = 0;
  readonly #text: string;
  readonly #limits: JsonLimits;
  #values = 0;

  constructor(text: string, limits: JsonLimits) {
    this.#text = text;
    this.#limits = limits;
  }

  fail(message: string): never {
    throw new JsonSyntaxError(message, this.position);
  }

  skipSpace(): void {
    spacePattern.lastIndex = this.position;
    spacePattern.test(this.#text);
    this.position = spacePattern.lastIndex;
  }

  /** Reads one value. The recursion is bounded by `limits.depth`. */
  value(depth: number): JsonValue {
    this.skipSpace();
    if (depth > this.#limits.depth) this.fail(`nested deeper than ${this.#limits.depth}`);
    if (++this.#values > this.#limits.values) this.fail(`more than ${this.#limits.values} values`);
    switch (this.#text[this.position]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.position)) this.fail('expected a JSON value');
    this.position += word.length;
    return value;
  }

  #take(character: string): boolean {
    if (this.#text[this.position] !== character) return false;
    this.position++;
    return true;
  }

  #object(depth: number): Map<string, JsonValue> {
    const members = new Map<string, JsonValue>();
    this.position++;
    this.skipSpace();
    if (this.#take('}')) return members;
    for (;;) {
      this.skipSpace();
      const start = this.position;
      if (this.#text[start] !== '"') this.fail('expected a key in double quotes');
      const key = this.#string();
      if (members.has(key)) {
        this.position = start;
        this.fail('a key that was there before');
      }
      this.skipSpace();
      if (!this.#take(':')) this.fail('expected ":"');
      members.set(key, this.value(depth + 1));
      this.skipSpace();
      if (this.#take('}')) return members;
      if (!this.#take(',')) this.fail('expected "," or "}"');
    }
  }

  #array(depth: number): JsonValue[] {
    const items: JsonValue[] = [];
    this.position++;
    this.skipSpace();
    if (this.#take(']')) return items;
    for (;;) {
      items.push(this.value(depth + 1));
      this.skipSpace();
      if (this.#take(']')) return items;
      if (!this.#take(',')) this.fail('expected "," or "]"');
    }
  }

  #string(): string {
    const parts: string[] = [];
    this.position++;
    for (;;) {
      plainPattern.lastIndex = this.position;
      plainPattern.test(this.#text);
      parts.push(this.#text.slice(this.position, plainPattern.lastIndex));
      this.position = plainPattern.lastIndex;
      if (this.#take('"')) return parts.length === 1 ? parts[0]! : parts.join('');
      if (!this.#take('\\')) this.fail('a string that does not end, or a bare control character in one');
      const letter = this.#text[this.position] ?? '';
      if (letter === 'u') parts.push(this.#unicodeEscape());
      else {
        const character = Object.hasOwn(escapes, letter) ? escapes[letter] : undefined;
        if (character === undefined) this.fail('an unknown escape in a string');
        parts.push(character);
        this.position++;
      }
    }
  }

  /** Reads what follows a backslash: one code point, in two escapes if it lies above U+FFFF. */
  #unicodeEscape(): string {
    const first = this.#hexadecimal();
    if (first < 0xd800 || first > 0xdfff) return String.fromCharCode(first);
    if (first > 0xdbff || !this.#take('\\')) this.fail('half of a surrogate pair');
    const second = this.#hexadecimal();
    if (second < 0xdc00 || second > 0xdfff) this.fail('half of a surrogate pair');
    return String.fromCharCode(first, second);
  }

  #hexadecimal(): number {
    const digits = this.#text.slice(this.position + 1, this.position + 5);
    if (this.#text[this.position] !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) this.fail('a broken \\u escape');
    this.position += 5;
    return Number.parseInt(digits, 16);
  }

  #number(): number | bigint {
    numberPattern.lastIndex = this.position;
    const match = numberPattern.exec(this.#text);
    if (!match) this.fail('expected a JSON value');
    const digits = match[0];
    const integer = match[1] === undefined && match[2] === undefined;
    if (integer && digits.length > maximumIntegerLength)
      this.fail(`an integer of more than ${maximumIntegerLength} characters`);
    this.position += digits.length;
    // "-0" is no integer of this reader: BigInt has no negative zero.
    return integer && digits !== '-0' ? BigInt(digits) : Number(digits);
  }
}
