/** Normalizations and resizing of feature maps. */
import { apply, type Tensor } from '../tensor.ts';

/** `x / sqrt(mean(x²) + epsilon) · scale` over the last axis. Zhang & Sennrich 2019. */
export function rmsNorm(x: Tensor, scale: Tensor, epsilon: number): Tensor {
  return apply('rmsNorm', { epsilon }, x, scale);
}

/** `(x − mean) / sqrt(variance + epsilon) · scale + bias` over the last axis. */
export function layerNorm(x: Tensor, scale: Tensor, bias: Tensor | undefined, epsilon: number): Tensor {
  return apply('layerNorm', { epsilon }, x, scale, ...(bias ? [bias] : []));
}

/** Normalizes `x [batch, channels, height, width]` within groups of channels; scale and bias are `[channels]`. */
export function groupNorm(x: Tensor, scale: Tensor, bias: Tensor, groups: number, epsilon: number): Tensor {
  return apply('groupNorm', { groups, epsilon }, x, scale, bias);
}

/** Repeats every pixel of `[batch, channels, height, width]` `scale` times in both directions. */
export function resizeNearest(x: Tensor, scale: number): Tensor {
  return scale === 1 ? x : apply('resizeNearest', { scale }, x);
}

/** Bilinear resize of `[batch, channels, height, width]`, pixel centres at halves (`align_corners=False`), no antialiasing. */
export function resizeBilinear(x: Tensor, height: number, width: number): Tensor {
  return apply('resizeBilinear', { height, width }, x);
}
