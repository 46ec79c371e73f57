/** Reference values of convolutions, norms, resizing, rotation and attention, in float64, by their definitions. */
import type { ConvolutionAttributes, OperatorAttributes } from '../../src/tensor/operators.ts';
import { at, countOf, type NumericArray, placeOf, positionsOf, tabulate } from './array.ts';

/** Sums, over a kernel's places, what a window reads; places in the padding read 0. */
export function convolution(
  x: NumericArray,
  weight: NumericArray,
  bias: NumericArray | undefined,
  attributes: ConvolutionAttributes,
) {
  const { stride, padding, dilation } = attributes;
  const [batch, inChannels, height, width] = x.shape as [number, number, number, number];
  const [outChannels, , kernelHeight, kernelWidth] = weight.shape as [number, number, number, number];
  const outHeight =
    Math.floor((height + padding[0] + padding[2] - dilation[0] * (kernelHeight - 1) - 1) / stride[0]) + 1;
  const outWidth = Math.floor((width + padding[1] + padding[3] - dilation[1] * (kernelWidth - 1) - 1) / stride[1]) + 1;
  return tabulate([batch, outChannels, outHeight, outWidth], ([image, out, row, column]) => {
    let sum = bias ? bias.data[out!]! : 0;
    for (let channel = 0; channel < inChannels; channel++) {
      for (let i = 0; i < kernelHeight; i++) {
        for (let j = 0; j < kernelWidth; j++) {
          const y = row! * stride[0] + i * dilation[0] - padding[0];
          const z = column! * stride[1] + j * dilation[1] - padding[1];
          if (y < 0 || y >= height || z < 0 || z >= width) continue;
          sum += at(x, [image!, channel, y, z]) * at(weight, [out!, channel, i, j]);
        }
      }
    }
    return sum;
  });
}

/** Every input element paints its kernel onto the output; what falls into the padding is lost. */
export function transposedConvolution(
  x: NumericArray,
  weight: NumericArray,
  attributes: OperatorAttributes['convTranspose2d'],
) {
  const { stride, padding, dilation, outputPadding } = attributes;
  const [batch, , height, width] = x.shape as [number, number, number, number];
  const [, outChannels, kernelHeight, kernelWidth] = weight.shape as [number, number, number, number];
  const grown = (size: number, kernel: number, side: 0 | 1) =>
    (size - 1) * stride[side] +
    dilation[side] * (kernel - 1) +
    1 +
    outputPadding[side] -
    padding[side] -
    padding[side + 2]!;
  const shape = [batch, outChannels, grown(height, kernelHeight, 0), grown(width, kernelWidth, 1)];
  const data = new Float64Array(countOf(shape));
  for (const [image, channel, row, column] of positionsOf(x.shape) as [number, number, number, number][]) {
    for (const [out, i, j] of positionsOf([outChannels, kernelHeight, kernelWidth]) as [number, number, number][]) {
      const y = row * stride[0] + i * dilation[0] - padding[0];
      const z = column * stride[1] + j * dilation[1] - padding[1];
      if (y < 0 || y >= shape[2]! || z < 0 || z >= shape[3]!) continue;
      data[placeOf(shape, [image, out, y, z])]! +=
        at(x, [image, channel, row, column]) * at(weight, [channel, out, i, j]);
    }
  }
  return { shape, data };
}

/** `(x − mean) / sqrt(variance + epsilon)` within the elements that share a key; without `centred` the mean counts as 0. */
export function standardized(
  x: NumericArray,
  keyOf: (position: number[]) => string,
  epsilon: number,
  centred: boolean,
): NumericArray {
  const groups = new Map<string, number[]>();
  const positions = positionsOf(x.shape);
  for (const position of positions) {
    const key = keyOf(position);
    groups.set(key, [...(groups.get(key) ?? []), at(x, position)]);
  }
  return tabulate(x.shape, (position) => {
    const values = groups.get(keyOf(position))!;
    const mean = centred ? values.reduce((a, b) => a + b, 0) / values.length : 0;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    return (at(x, position) - mean) / Math.sqrt(variance + epsilon);
  });
}

/** Pixel centres lie at halves; between two centres the value is on the straight line, beyond the outermost it stays. */
export function bilinear(x: NumericArray, height: number, width: number): NumericArray {
  const [batch, channels, oldHeight, oldWidth] = x.shape as [number, number, number, number];
  const between = (index: number, size: number, oldSize: number) => {
    const centre = Math.min(Math.max(((index + 0.5) * oldSize) / size - 0.5, 0), oldSize - 1);
    const low = Math.floor(centre);
    return { low, high: Math.min(low + 1, oldSize - 1), share: centre - low };
  };
  return tabulate([batch, channels, height, width], ([image, channel, row, column]) => {
    const y = between(row!, height, oldHeight);
    const z = between(column!, width, oldWidth);
    const pixel = (a: number, b: number) => at(x, [image!, channel!, a, b]);
    const upper = pixel(y.low, z.low) * (1 - z.share) + pixel(y.low, z.high) * z.share;
    const lower = pixel(y.high, z.low) * (1 - z.share) + pixel(y.high, z.high) * z.share;
    return upper * (1 - y.share) + lower * y.share;
  });
}

/** Turns channels i and i + half of each head by the angle at the token's position. */
export function rotated(
  x: NumericArray,
  cosine: NumericArray,
  sine: NumericArray,
  positions: NumericArray,
): NumericArray {
  const half = cosine.shape[1]!;
  return tabulate(x.shape, ([row, token, channel]) => {
    const within = channel! % (2 * half);
    const position = at(positions, [row!, token!]);
    const angle = [position, within % half];
    const partner = within < half ? channel! + half : channel! - half;
    const other = at(x, [row!, token!, partner]) * at(sine, angle);
    return at(x, [row!, token!, channel!]) * at(cosine, angle) + (within < half ? -other : other);
  });
}

export type Five = readonly [NumericArray, NumericArray, NumericArray, NumericArray, NumericArray];

/** The same after unpacking, with queries and keys rotated by their places in the cache. */
export function packedCausalAttention(
  [packed, cosine, sine, pastKey, pastValue]: Five,
  attributes: OperatorAttributes['packedAttention'],
): [NumericArray, NumericArray, NumericArray] {
  const [batch, , past, headDim] = pastKey.shape as [number, number, number, number];
  const tokens = packed.shape[1]!;
  const { heads, keyValueHeads } = attributes;
  const part = (first: number, count: number) =>
    tabulate([batch, tokens, count * headDim], ([row, token, channel]) =>
      at(packed, [row!, token!, first * headDim + channel!]),
    );
  const places = tabulate([batch, tokens], ([, token]) => past + token!);
  const query = rotated(part(0, heads), cosine, sine, places);
  const key = rotated(part(heads, keyValueHeads), cosine, sine, places);
  const value = part(heads + keyValueHeads, keyValueHeads);
  return causalAttention([query, key, value, pastKey, pastValue], attributes);
}

/** Plain causal attention: every new token sees the cache, the new tokens before it and itself. */
export function causalAttention(
  [query, key, value, pastKey, pastValue]: Five,
  { heads, keyValueHeads, scale }: OperatorAttributes['groupedQueryAttention'],
): [NumericArray, NumericArray, NumericArray] {
  const [batch, , past, headDim] = pastKey.shape as [number, number, number, number];
  const tokens = query.shape[1]!;
  const grow = (cache: NumericArray, fresh: NumericArray) =>
    tabulate([batch, keyValueHeads, past + tokens, headDim], ([row, head, place, channel]) =>
      place! < past
        ? at(cache, [row!, head!, place!, channel!])
        : at(fresh, [row!, place! - past, head! * headDim + channel!]),
    );
  const [keys, values] = [grow(pastKey, key), grow(pastValue, value)];
  const output = tabulate(query.shape, ([row, token, column]) => {
    const head = Math.floor(column! / headDim);
    const shared = Math.floor(head / (heads / keyValueHeads));
    const scores: number[] = [];
    for (let place = 0; place <= past + token!; place++) {
      let score = 0;
      for (let c = 0; c < headDim; c++)
        score += at(query, [row!, token!, head * headDim + c]) * at(keys, [row!, shared, place, c]);
      scores.push(score * scale);
    }
    const largest = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - largest));
    const total = weights.reduce((a, b) => a + b, 0);
    const channel = column! % headDim;
    return weights.reduce(
      (sum, weight, place) => sum + (weight / total) * at(values, [row!, shared, place, channel]),
      0,
    );
  });
  return [output, keys, values];
}
