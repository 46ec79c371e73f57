/** Widening and narrowing of stored floating-point elements to float32. */

import type { DType } from '../tensor/dtype.ts';

let halves: Float32Array | undefined;

/** The value of every float16, indexed by its bits (IEEE 754 binary16). */
function float16Values(): Float32Array {
  if (halves) return halves;
  const values = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) values[bits] = sign * fraction * 2 ** -24;
    else if (exponent === 31) values[bits] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else values[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  halves = values;
  return values;
}

/**
 * Writes the floating-point elements in `raw` (little-endian bytes of `dtype`) to `target` as float32.
 *
 * Exact for float32, bfloat16 and float16; float64 is rounded to nearest.
 * Returns the index of the first finite float64 beyond float32's range, or −1.
 */
export function toFloat32(raw: Uint8Array<ArrayBuffer>, dtype: FloatDType, target: Float32Array): number {
  const { buffer, byteOffset } = raw;
  switch (dtype) {
    case 'float32':
      target.set(new Float32Array(buffer, byteOffset, target.length));
      return -1;
    case 'bfloat16': {
      const source = new Uint16Array(buffer, byteOffset, target.length);
      const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
      for (let index = 0; index < source.length; index++) bits[index] = source[index]! << 16;
      return -1;
    }
    case 'float16': {
      const source = new Uint16Array(buffer, byteOffset, target.length);
      const values = float16Values();
      for (let index = 0; index < source.length; index++) target[index] = values[source[index]!]!;
      return -1;
    }
    case 'float64': {
      const source = new Float64Array(buffer, byteOffset, target.length);
      for (let index = 0; index < source.length; index++) {
        target[index] = source[index]!;
        if (!Number.isFinite(target[index]!) && Number.isFinite(source[index]!)) return index;
      }
      return -1;
    }
  }
}

export type FloatDType = Extract<DType, 'float32' | 'float16' | 'bfloat16' | 'float64'>;
