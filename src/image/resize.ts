/**
 * Pillow's `Image.resize` on 8-bit RGB, bit for bit (`src/libImaging/Resample.c`).
 *
 * The vision encoder and the VQ tokenizer were trained on images that Pillow resized. Other resizers (sharp's, a
 * canvas's) differ by several levels, which is enough to change tokens; so this one is ours. It is pure and runs in
 * browsers too.
 *
 * A horizontal pass, then a vertical one; each is skipped when its size stays. The filter's support grows with the
 * scale when an image shrinks (antialiasing). Coefficients are fixed-point numbers of 22 fractional bits, and each pass
 * rounds to 8 bits.
 */

import { checkImage, checkSize, type RgbImage } from './rgb-image.ts';

/** Pillow's `BILINEAR`, `BICUBIC` (a = -0.5) and `LANCZOS` (3 lobes). */
export type ResizeFilter = 'bilinear' | 'bicubic' | 'lanczos';

interface Kernel {
  /** The kernel is zero beyond this distance, in source pixels at scale 1. */
  readonly support: number;
  readonly weight: (distance: number) => number;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

const kernels: Readonly<Record<ResizeFilter, Kernel>> = {
  bilinear: { support: 1, weight: (distance) => Math.max(0, 1 - Math.abs(distance)) },
  bicubic: {
    support: 2,
    weight: (distance) => {
      const a = -0.5;
      const x = Math.abs(distance);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
      return 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** 8 bits for the result, 2 for overshoot, the rest of an int32 for the fraction. */
const precisionBits = 32 - 8 - 2;
const half = 1 << (precisionBits - 1);

/** What one pass needs: target position `i` is the sum over `taps[i]` source positions from `first[i]`. */
interface Coefficients {
  /** Slots reserved a target position. */
  readonly stride: number;
  readonly first: Int32Array;
  readonly taps: Int32Array;
  /** `[target, stride]`, fixed-point. */
  readonly weights: Int32Array;
}

// `precompute_coeffs` and `normalize_coeffs_8bpc`, operation by operation: a reordered sum changes last bits.
function coefficientsFor(from: number, to: number, kernel: Kernel): Coefficients {
  const scale = from / to;
  const filterScale = Math.max(scale, 1);
  const support = kernel.support * filterScale;
  const inverse = 1 / filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const taps = new Int32Array(to);
  const weights = new Int32Array(to * stride);
  const exact = new Float64Array(stride);
  for (let target = 0; target < to; target++) {
    const center = (target + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(from, Math.trunc(center + support + 0.5)) - start;
    let sum = 0;
    for (let tap = 0; tap < count; tap++) {
      const weight = kernel.weight((tap + start - center + 0.5) * inverse);
      exact[tap] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < count; tap++) {
      const weight = (sum === 0 ? exact[tap]! : exact[tap]! / sum) * (1 << precisionBits);
      weights[target * stride + tap] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    first[target] = start;
    taps[target] = count;
  }
  return { stride, first, taps, weights };
}

function clip8(sum: number): number {
  return Math.min(Math.max(sum >> precisionBits, 0), 255);
}

function resizeHorizontally(image: RgbImage, width: number, kernel: Kernel): RgbImage {
  const { stride, first, taps, weights } = coefficientsFor(image.width, width, kernel);
  const { data: source, height } = image;
  const target = new Uint8Array(width * height * 3);
  for (let row = 0, out = 0; row < height; row++) {
    const rowStart = row * image.width * 3;
    for (let column = 0; column < width; column++, out += 3) {
      let red = half;
      let green = half;
      let blue = half;
      let index = rowStart + first[column]! * 3;
      const end = column * stride + taps[column]!;
      for (let tap = column * stride; tap < end; tap++, index += 3) {
        const weight = weights[tap]!;
        red = (red + source[index]! * weight) | 0;
        green = (green + source[index + 1]! * weight) | 0;
        blue = (blue + source[index + 2]! * weight) | 0;
      }
      target[out] = clip8(red);
      target[out + 1] = clip8(green);
      target[out + 2] = clip8(blue);
    }
  }
  return { width, height, data: target };
}

function resizeVertically(image: RgbImage, height: number, kernel: Kernel): RgbImage {
  const { stride, first, taps, weights } = coefficientsFor(image.height, height, kernel);
  const { data: source, width } = image;
  const rowBytes = width * 3;
  const target = new Uint8Array(rowBytes * height);
  // Whole source rows are added up, so that memory is read in order.
  const sums = new Int32Array(rowBytes);
  for (let row = 0; row < height; row++) {
    sums.fill(half);
    for (let tap = 0; tap < taps[row]!; tap++) {
      const weight = weights[row * stride + tap]!;
      const start = (first[row]! + tap) * rowBytes;
      for (let byte = 0; byte < rowBytes; byte++) sums[byte] = sums[byte]! + source[start + byte]! * weight;
    }
    const out = row * rowBytes;
    for (let byte = 0; byte < rowBytes; byte++) target[out + byte] = clip8(sums[byte]!);
  }
  return { width, height, data: target };
}

/**
 * An image in another size, equal to Pillow's `image.resize((width, height), filter)` in every bit.
 * @param width of the result, in pixels, from 1
 * @param height of the result, in pixels, from 1
 * @returns a new image; its pixels are a copy even when the size stays
 * @throws ImageError `image_invalid` when the image or a size is not valid
 */
export function resizeImage(image: RgbImage, width: number, height: number, filter: ResizeFilter): RgbImage {
  checkImage(image, 'resizeImage');
  checkSize(width, height, 'resizeImage');
  const kernel = kernels[filter];
  let result = image;
  if (width !== result.width) result = resizeHorizontally(result, width, kernel);
  if (height !== result.height) result = resizeVertically(result, height, kernel);
  return result === image ? { width, height, data: image.data.slice() } : result;
}
