/**
 * How near two pictures are: L1, PSNR and SSIM on RGB in [0, 1].
 *
 * SSIM is Wang et al. 2004 as their reference code computes it: Gaussian window of 11 pixels with sigma 1.5, K1 0.01, K2
 * 0.03, biased variances, only windows that lie inside of the picture; channel by channel, then the mean (scikit-image with
 * `gaussian_weights`, `sigma=1.5`, `use_sample_covariance=False`, `data_range=1`). LlamaGen's script passes 2 as the data range,
 * which makes the constants four times as large and the score higher: `dataRange` is there to name that number too.
 */
import { ImageError } from './error.ts';
import { checkImage, type RgbImage } from './rgb-image.ts';

/** Refuses two pictures of different sizes. */
export function requireSameSize(a: RgbImage, b: RgbImage, where: string): void {
  checkImage(a, where);
  checkImage(b, where);
  if (a.width !== b.width || a.height !== b.height) {
    throw new ImageError(
      'image_invalid',
      `${where}: expected pictures of one size, got ${a.width} x ${a.height} and ${b.width} x ${b.height}`,
    );
  }
}

/** Mean absolute difference, in [0, 1]. */
export function l1Of(a: RgbImage, b: RgbImage): number {
  requireSameSize(a, b, 'l1Of');
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += Math.abs(a.data[i]! - b.data[i]!);
  return sum / a.data.length / 255;
}

/** Mean squared difference on [0, 1], over the pixels for which `mask` is true; `null` where there are none. */
export function meanSquaredError(a: RgbImage, b: RgbImage, mask?: (pixel: number) => boolean): number | null {
  requireSameSize(a, b, 'meanSquaredError');
  let sum = 0;
  let count = 0;
  for (let pixel = 0; pixel < a.width * a.height; pixel++) {
    if (mask && !mask(pixel)) continue;
    count += 3;
    for (let i = pixel * 3; i < pixel * 3 + 3; i++) sum += (a.data[i]! - b.data[i]!) ** 2;
  }
  return count === 0 ? null : sum / count / 255 ** 2;
}

/** Decibels of a squared error on [0, 1]; infinite for equal pictures. */
export function psnrOfError(squaredError: number): number {
  return squaredError === 0 ? Number.POSITIVE_INFINITY : -10 * Math.log10(squaredError);
}

/** 10·log10(1 / MSE), in decibels; infinite for equal pictures. */
export function psnrOf(a: RgbImage, b: RgbImage): number {
  return psnrOfError(meanSquaredError(a, b)!);
}

const windowSize = 11;
const sigma = 1.5;

const gaussian = (() => {
  const weights = Float64Array.from({ length: windowSize }, (_, i) =>
    Math.exp(-((i - (windowSize - 1) / 2) ** 2) / (2 * sigma ** 2)),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
})();

/**
 * Structural similarity, 1 for equal pictures.
 * @param dataRange 1 is the usual one
 * @throws ImageError `image_invalid` for different sizes or sides below 11 pixels
 */
export function ssimOf(a: RgbImage, b: RgbImage, dataRange = 1): number {
  requireSameSize(a, b, 'ssimOf');
  const { width, height } = a;
  if (Math.min(width, height) < windowSize) {
    throw new ImageError(
      'image_invalid',
      `ssimOf: expected sides of at least ${windowSize} pixels, got ${width} x ${height}`,
    );
  }
  const [c1, c2] = [(0.01 * dataRange) ** 2, (0.03 * dataRange) ** 2];
  let total = 0;
  for (let channel = 0; channel < 3; channel++) {
    const [x, y] = [planeOf(a, channel), planeOf(b, channel)];
    const local = (plane: Float64Array) => windowMeans(plane, width, height);
    const [meanX, meanY] = [local(x), local(y)];
    const squareX = local(x.map((value) => value * value));
    const squareY = local(y.map((value) => value * value));
    const product = local(x.map((value, i) => value * y[i]!));
    let sum = 0;
    for (let i = 0; i < meanX.length; i++) {
      const [mx, my] = [meanX[i]!, meanY[i]!];
      const covariance = product[i]! - mx * my;
      const variances = squareX[i]! - mx * mx + squareY[i]! - my * my;
      sum += ((2 * mx * my + c1) * (2 * covariance + c2)) / ((mx * mx + my * my + c1) * (variances + c2));
    }
    total += sum / meanX.length;
  }
  return total / 3;
}

function planeOf(image: RgbImage, channel: number): Float64Array {
  return Float64Array.from({ length: image.width * image.height }, (_, i) => image.data[i * 3 + channel]! / 255);
}

/** Weighted means of all windows inside of the picture, `[height − 10, width − 10]`. */
function windowMeans(plane: Float64Array, width: number, height: number): Float64Array {
  const columns = width - windowSize + 1;
  const rows = height - windowSize + 1;
  const across = new Float64Array(columns * height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let tap = 0; tap < windowSize; tap++) sum += gaussian[tap]! * plane[row * width + column + tap]!;
      across[row * columns + column] = sum;
    }
  }
  const means = new Float64Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let tap = 0; tap < windowSize; tap++) sum += gaussian[tap]! * across[(row + tap) * columns + column]!;
      means[row * columns + column] = sum;
    }
  }
  return means;
}
