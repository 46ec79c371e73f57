/** The autoencoder's two programs, pictures to latents and latents to pictures, and the chance that they are fed. */
import type { Float32TensorValue } from '../../checkpoint/source.ts';
import type { Declare } from '../../nn/parameters.ts';
import {
  type CompiledProgram,
  compile,
  type Dim,
  fillNormal,
  input,
  multiplyDims,
  type Shape,
} from '../../tensor/index.ts';
import {
  declareVaeDecoder,
  declareVaeEncoder,
  drawLatents,
  scaleLatents,
  unscaleLatents,
  vaeDecode,
  vaeEncode,
} from './vae.ts';
import type { VaeConfig } from './vae-config.ts';

/** Latents of a picture; a picture has `downsampling` times as many pixels in both directions. */
export interface LatentGrid {
  readonly rows: Dim;
  readonly columns: Dim;
}

/** Sizes known only when the program runs. */
const anyGrid: LatentGrid = { rows: 'rows', columns: 'columns' };

function latentShape({ rows, columns }: LatentGrid, { latentChannels }: VaeConfig): Shape {
  return ['batch', latentChannels, rows, columns];
}

/**
 * `picture [batch, 3, height, width]` in [−1, 1] and `noise [batch, latentChannels, rows, columns]` to `latents` of the
 * noise's shape as the diffusion model sees them, and the Gaussian that they were taken from, `mean` and `logvar`, in
 * the autoencoder's own scale. With `latentNoise` they are a draw, as in the published code, with `zeroLatents` the
 * mode.
 * @param grid of the pictures; default any.
 */
export function compileVaeEncoder(declare: Declare, config: VaeConfig, grid = anyGrid): CompiledProgram {
  const [height, width] = [grid.rows, grid.columns].map((side) => multiplyDims(side, config.downsampling));
  const picture = input('picture', 'float32', ['batch', config.inChannels, height!, width!]);
  const noise = input('noise', 'float32', latentShape(grid, config));
  const posterior = vaeEncode(picture, declareVaeEncoder(declare, config), config);
  const latents = scaleLatents(drawLatents(posterior, noise), config);
  return compile({ name: 'vae encoder', inputs: [picture, noise], outputs: { latents, ...posterior } });
}

/**
 * `latents [batch, latentChannels, rows, columns]` as the diffusion model makes them to
 * `picture [batch, 3, height, width]`.
 * @param grid of the pictures; default any.
 */
export function compileVaeDecoder(declare: Declare, config: VaeConfig, grid = anyGrid): CompiledProgram {
  const latents = input('latents', 'float32', latentShape(grid, config));
  const picture = vaeDecode(unscaleLatents(latents, config), declareVaeDecoder(declare, config));
  return compile({ name: 'vae decoder', inputs: [latents], outputs: { picture } });
}

/** Streams of the diffusion decoder's chance; those of data begin at 101, those of evaluation at 201. */
export const latentStreams = { start: 301, source: 302 } as const;

/**
 * Numbers from the standard normal distribution for latents of `shape [images, latentChannels, rows, columns]`: where a
 * denoising starts (stream `start`), or what is drawn of a source picture's Gaussian (`source`). Image i of seed s has
 * the numbers of image 0 of seed s + i, whatever the batch.
 */
export function latentNoise(shape: readonly number[], seed: number, stream: number): Float32TensorValue {
  const noise = zeroLatents(shape);
  const each = noise.data.length / shape[0]!;
  for (let image = 0; image < shape[0]!; image++) {
    fillNormal(noise.data.subarray(image * each, (image + 1) * each), seed + image, stream);
  }
  return noise;
}

/** Latents of `shape` that are all 0: no noise, or no source picture. */
export function zeroLatents(shape: readonly number[]): Float32TensorValue {
  return { dtype: 'float32', shape, data: new Float32Array(shape.reduce((product, size) => product * size, 1)) };
}
