/** Float32 numbers in the types that weights are stored in, rounded to nearest, halves to even. */
import type { TypedArray } from '../../tensor/dtype.ts';
import { TrainingError } from '../error.ts';

/** Element types that weights are saved in. */
export const weightTypes = ['float32', 'bfloat16', 'float16'] as const;
export type WeightType = (typeof weightTypes)[number];

/**
 * The elements as they are stored; 16-bit floats as their bits.
 * @param name only for the message.
 * @throws TrainingError for a finite number that the type cannot hold.
 */
export function narrowFloat(values: Float32Array, dtype: WeightType, name: string): TypedArray {
  if (dtype === 'float32') return values;
  const source = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const target = new Uint16Array(values.length);
  const narrow = dtype === 'bfloat16' ? bfloat16Bits : float16Bits;
  const infinity = dtype === 'bfloat16' ? 0x7f80 : 0x7c00;
  for (let index = 0; index < source.length; index++) {
    const bits = narrow(source[index]!);
    if ((bits & 0x7fff) === infinity && Number.isFinite(values[index]!)) {
      const message = `${name}: element ${index} is ${values[index]}, beyond the range of ${dtype}; save it as float32`;
      throw new TrainingError('training_option_invalid', message, { name, index });
    }
    target[index] = bits;
  }
  return target;
}

function bfloat16Bits(bits: number): number {
  // A NaN must not round to infinity.
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function float16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // From 65,520 on the nearest float16 is infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) return sign | subnormalUnits(magnitude);
  const rebiased = magnitude - ((127 - 15) << 23);
  return sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13);
}

const scratch = new DataView(new ArrayBuffer(4));

/** Below 2^−14 float16 counts in steps of 2^−24; adding 2^52 rounds a double to a whole number, halves to even. */
function subnormalUnits(magnitude: number): number {
  scratch.setUint32(0, magnitude);
  return scratch.getFloat32(0) * 2 ** 24 + 2 ** 52 - 2 ** 52;
}
