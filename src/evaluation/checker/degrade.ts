/** A stand-in for what a tokenizer does to a picture, so that the checker can be tried without a model: blur, then noise. */
import type { RgbImage } from '../../image/rgb-image.ts';
import { normal } from '../../tensor/random.ts';
import { evaluationStreams } from '../bootstrap.ts';
import { blurred } from './templates.ts';

/** Applied to pictures before they are read. */
export interface Degradation {
  readonly name: string;
  readonly apply: (image: RgbImage, seed: number) => RgbImage | Promise<RgbImage>;
}

/**
 * Binomial blur `passes` times and Gaussian noise of so many levels. One pass and 8 levels give some 28 dB on the world's 64
 * pixel pictures, two and 10 some 26 dB.
 */
export function blurAndNoise(image: RgbImage, seed: number, passes = 2, levels = 10): RgbImage {
  const { width, height } = image;
  const data = new Uint8Array(image.data.length);
  for (let channel = 0; channel < 3; channel++) {
    let plane: Float32Array = Float32Array.from({ length: width * height }, (_, i) => image.data[i * 3 + channel]!);
    for (let pass = 0; pass < passes; pass++) plane = blurred(plane, width, height);
    for (const [pixel, level] of plane.entries()) {
      const at = pixel * 3 + channel;
      const noisy = level + levels * normal(seed, evaluationStreams.noise, at);
      data[at] = Math.min(255, Math.max(0, Math.round(noisy)));
    }
  }
  return { width, height, data };
}

export const noDegradation: Degradation = { name: 'exact', apply: (image) => image };
export const blurAndNoiseDegradation: Degradation = { name: 'blur+noise', apply: blurAndNoise };
