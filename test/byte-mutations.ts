/** Changes of a file's bytes, for fuzzing readers of files from strangers. */
import fc from 'fast-check';

/** Positions anywhere in the file: fast-check by itself prefers small numbers. They are taken modulo what fits. */
const position = fc.noBias(fc.nat(2 ** 30));

const at = <Kind extends string>(kind: Kind) => ({ kind: fc.constant(kind), at: position });

const bytesOf = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });

/** A small change, which a sound file may survive. */
export const nudge = fc.oneof(
  fc.record({ ...at('set'), bytes: bytesOf(1, 1) }),
  fc.record({ ...at('flip'), bit: fc.nat(7) }),
);

export interface MutationOptions {
  /** Most bytes that are removed, and copied, at once. */
  readonly removed: number;
  readonly copied: number;
  /** Bytes to put in beside random ones. */
  readonly words?: readonly string[];
}

/** Any change. */
export function byteMutation({ removed, copied, words = [] }: MutationOptions) {
  const written = words.length === 0 ? [] : [fc.constantFrom(...words).map((word) => Buffer.from(word))];
  return fc.oneof(
    { weight: 4, arbitrary: nudge },
    fc.record({ ...at('set'), bytes: fc.oneof(bytesOf(2, 8), ...written) }),
    fc.record({ ...at('insert'), bytes: fc.oneof(bytesOf(1, 16), ...written) }),
    fc.record({ ...at('remove'), length: fc.integer({ min: 1, max: removed }) }),
    // Over what stands there, and in between.
    fc.record({ ...at('copy'), from: position, length: fc.integer({ min: 1, max: copied }) }),
    fc.record({ ...at('repeat'), from: position, length: fc.integer({ min: 1, max: copied }) }),
    fc.record({ ...at('cut') }),
  );
}

export type Mutation = ReturnType<typeof byteMutation> extends fc.Arbitrary<infer T> ? T : never;

export function mutate(bytes: Buffer, change: Mutation): Buffer {
  const place = change.at % (bytes.length + 1);
  const copy = Buffer.from(bytes);
  switch (change.kind) {
    case 'set':
      copy.set(change.bytes.subarray(0, copy.length - place), place);
      return copy;
    case 'flip':
      if (place < copy.length) copy[place]! ^= 1 << change.bit;
      return copy;
    case 'insert':
      return Buffer.concat([bytes.subarray(0, place), change.bytes, bytes.subarray(place)]);
    case 'remove':
      return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + change.length)]);
    case 'copy':
    case 'repeat': {
      const from = change.from % (bytes.length + 1);
      const piece = bytes.subarray(from, from + change.length);
      const rest = change.kind === 'copy' ? place + piece.length : place;
      return Buffer.concat([bytes.subarray(0, place), piece, bytes.subarray(rest)]).subarray(
        0,
        change.kind === 'copy' ? bytes.length : undefined,
      );
    }
    case 'cut':
      return copy.subarray(0, place);
  }
}
