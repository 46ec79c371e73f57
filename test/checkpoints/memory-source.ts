import { type ByteSource, checkRange } from '../../src/checkpoint/byte-source.ts';

/** A file in memory, for tests of the parsers. */
export function memorySource(bytes: Uint8Array, file = 'memory'): ByteSource {
  const source: ByteSource = {
    file,
    size: bytes.length,
    async readInto(target, position) {
      checkRange(source, position, target.length);
      target.set(bytes.subarray(position, position + target.length));
    },
    async [Symbol.asyncDispose]() {},
  };
  return source;
}
