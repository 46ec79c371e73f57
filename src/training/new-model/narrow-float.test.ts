import { describe, expect, test } from 'vitest';
import { toFloat32 } from '../../checkpoint/float.ts';
import { narrowFloat } from './narrow-float.ts';

const bits = (values: number[], dtype: 'bfloat16' | 'float16') => [
  ...(narrowFloat(Float32Array.from(values), dtype, 'w') as Uint16Array),
];

describe.each(['bfloat16', 'float16'] as const)('%s', (dtype) => {
  test('keeps every number that it can hold', () => {
    const all = Uint16Array.from({ length: 1 << 16 }, (_, index) => index);
    const wide = new Float32Array(all.length);
    toFloat32(new Uint8Array(all.buffer), dtype, wide);
    const narrow = narrowFloat(wide, dtype, 'w') as Uint16Array;
    const wrong = [...all.keys()].filter((index) => !Number.isNaN(wide[index]!) && narrow[index] !== index);
    expect(wrong).toEqual([]);
    const back = new Float32Array(all.length);
    toFloat32(new Uint8Array(narrow.buffer as ArrayBuffer), dtype, back);
    expect([...back.keys()].filter((index) => Number.isNaN(wide[index]!) !== Number.isNaN(back[index]!))).toEqual([]);
  });

  test('refuses a number beyond its range', () => {
    expect(() => bits([0, 3.4028234e38], dtype)).toThrow(new RegExp(`w: element 1 is .* beyond the range of ${dtype}`));
  });
});

test('halves go to the even neighbour', () => {
  // bfloat16 counts in 2^−7 above 1, float16 in 2^−10, and in 2^−24 near 0.
  expect(bits([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20], 'bfloat16')).toEqual([0x3f80, 0x3f82, 0x3f81]);
  expect(bits([1 + 2 ** -11, 1 + 3 * 2 ** -11, -(1 + 2 ** -11)], 'float16')).toEqual([0x3c00, 0x3c02, 0xbc00]);
  expect(bits([2 ** -25, 3 * 2 ** -25, -(2 ** -24), 65519], 'float16')).toEqual([0, 2, 0x8001, 0x7bff]);
});
