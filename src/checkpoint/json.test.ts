import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonSyntaxError, type JsonValue, parseJson } from './json.ts';

const limits = { depth: 16, values: 10_000 };

/** Our values as `JSON.parse` would give them. */
function plain(value: JsonValue): unknown {
  if (value instanceof Map) {
    const object: Record<string, unknown> = {};
    for (const [key, item] of value) {
      Object.defineProperty(object, key, { value: plain(item), enumerable: true, configurable: true, writable: true });
    }
    return object;
  }
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === 'bigint' ? Number(value) : value;
}

describe('parseJson', () => {
  it('agrees with JSON.parse on valid text', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        expect(plain(parseJson(text, limits))).toEqual(JSON.parse(text));
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it('refuses what JSON.parse refuses, and never throws anything but JsonSyntaxError', () => {
    const mutation = fc.tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.constantFrom(...'{}[]",:\\u0-eE.tfn \u0000'));
    let refused = 0;
    fc.assert(
      fc.property(mutation, ([text, at, character]) => {
        const position = at % (text.length + 1);
        const broken = text.slice(0, position) + character + text.slice(position + 1);
        let valid = true;
        try {
          JSON.parse(broken);
        } catch {
          valid = false;
        }
        let read = true;
        try {
          parseJson(broken, limits);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonSyntaxError);
          read = false;
          refused++;
        }
        if (read) expect(valid).toBe(true);
      }),
      { seed: 2, numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(500);
  });

  it('keeps integers exact', () => {
    expect(parseJson('[18446744073709551615, -9223372036854775808]', limits)).toEqual([2n ** 64n - 1n, -(2n ** 63n)]);
    expect(parseJson('[1.0, 1e2, -0]', limits)).toEqual([1, 100, -0]);
  });

  it.each([
    ['a repeated key', '{"a":1,"\\u0061":2}', /key that was there before/],
    ['depth', '['.repeat(18), /nested deeper/],
    ['number of values', `[${'1,'.repeat(10_000)}1]`, /more than 10000 values/],
    ['a very long integer', '9'.repeat(1_000_000), /integer of more than 40/],
    ['half a surrogate pair', '"\\ud800"', /surrogate/],
    ['two high surrogates', '"\\ud800\\ud800"', /surrogate/],
    ['a low surrogate', '"\\udc00"', /surrogate/],
    ['text behind the value', '{} {}', /after the end/],
    ['a byte order mark', '\ufeff{}', /expected a JSON value/],
    ['nothing', '', /expected a JSON value/],
    ['an unknown escape', '"\\constructor"', /unknown escape/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseJson(text, limits)).toThrow(message);
  });

  it('reads keys with a meaning in JavaScript as plain keys', () => {
    const value = parseJson('{"__proto__":{"polluted":true},"constructor":1}', limits) as Map<string, JsonValue>;
    expect([...value.keys()]).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});
