/**
 * A cheap look at an unfinished picture: a linear map from code embedding to colour, one pixel a token, enlarged. The map is
 * fitted once per model: random codes are decoded, and the mean colours of their places regressed on their embeddings.
 */
import { resizeImage } from '../image/resize.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import { codebookName } from '../models/vq/tokenizer.ts';
import { uniform } from '../tensor/random.ts';
import type { LoadedModel } from './loaded-model.ts';
import { decodeCodes, toImages } from './pictures.ts';

/** Colour of every code, `[codes, 3]` in [0, 255]. */
type Palette = Uint8ClampedArray;

const palettes = new WeakMap<LoadedModel, Promise<Palette>>();

/** Pictures of the codes so far, as large as the real ones; places without a code are grey. */
export async function linearPreview(model: LoadedModel, codes: readonly (readonly number[])[]): Promise<RgbImage[]> {
  const fitted = palettes.get(model) ?? fitPalette(model);
  palettes.set(model, fitted);
  const palette = await fitted;
  const { gridSize, numTokens, imageSize } = model.folder.star.pixelEncoder;
  return codes.map((list) => {
    const data = new Uint8Array(numTokens * 3).fill(127);
    list.forEach((code, place) => {
      data.set(palette.subarray(3 * code, 3 * code + 3), 3 * place);
    });
    return resizeImage({ width: gridSize, height: gridSize, data }, imageSize, imageSize, 'bilinear');
  });
}

/** Weight of the ridge penalty beside the mean square of the embeddings; keeps codes that were not decoded in bounds. */
const ridge = 1e-2;

async function fitPalette(model: LoadedModel): Promise<Palette> {
  const { pixelEncoder } = model.folder.star;
  const { codebookSize, codebookDim: dim, numTokens, gridSize, imageSize } = pixelEncoder;
  const codebook = await model.weights.read(`pixel_encoder.${codebookName}`);
  const width = dim + 1;
  // At least two samples for each unknown.
  const grids = Math.max(2, Math.ceil((2 * width) / numTokens));
  const codes = Array.from({ length: grids }, (_, grid) =>
    Array.from({ length: numTokens }, (_, place) => Math.floor(uniform(0, grid, place) * codebookSize)),
  );
  const normal = new Float64Array(width * width);
  const right = new Float64Array(width * 3);
  const side = imageSize / gridSize;
  const row = new Float64Array(width);
  for (const list of codes) {
    const [image] = toImages(await decodeCodes(model, [list])) as [RgbImage];
    list.forEach((code, place) => {
      embeddingOf(codebook, code, dim, pixelEncoder.l2Norm, row);
      const colour = meanColour(image, (place % gridSize) * side, Math.floor(place / gridSize) * side, side);
      for (let i = 0; i < width; i++) {
        for (let j = 0; j <= i; j++) normal[i * width + j]! += row[i]! * row[j]!;
        for (let channel = 0; channel < 3; channel++) right[i * 3 + channel]! += row[i]! * colour[channel]!;
      }
    });
  }
  let trace = 0;
  for (let i = 0; i < dim; i++) trace += normal[i * width + i]!;
  for (let i = 0; i < dim; i++) normal[i * width + i]! += (ridge * trace) / dim + 1e-9;
  const map = solveSymmetric(normal, right, width, 3);
  const palette = new Uint8ClampedArray(codebookSize * 3);
  for (let code = 0; code < codebookSize; code++) {
    embeddingOf(codebook, code, dim, pixelEncoder.l2Norm, row);
    for (let channel = 0; channel < 3; channel++) {
      let value = 0;
      for (let i = 0; i < width; i++) value += row[i]! * map[i * 3 + channel]!;
      palette[code * 3 + channel] = value;
    }
  }
  return palette;
}

/** A code's embedding and a 1 for the constant part. */
function embeddingOf(codebook: Float32Array, code: number, dim: number, l2Norm: boolean, row: Float64Array): void {
  let square = 0;
  for (let i = 0; i < dim; i++) square += codebook[code * dim + i]! ** 2;
  const scale = l2Norm ? 1 / Math.max(Math.sqrt(square), 1e-12) : 1;
  for (let i = 0; i < dim; i++) row[i] = codebook[code * dim + i]! * scale;
  row[dim] = 1;
}

function meanColour({ data, width }: RgbImage, left: number, top: number, side: number): [number, number, number] {
  const sum: [number, number, number] = [0, 0, 0];
  for (let y = top; y < top + side; y++) {
    for (let x = left; x < left + side; x++) {
      for (let channel = 0; channel < 3; channel++) sum[channel]! += data[(y * width + x) * 3 + channel]!;
    }
  }
  return sum.map((value) => value / side ** 2) as [number, number, number];
}

/** Solves `A·X = B` for symmetric positive A by its Cholesky factor; A's lower triangle is read and overwritten. */
function solveSymmetric(a: Float64Array, b: Float64Array, n: number, columns: number): Float64Array {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= a[i * n + k]! * a[j * n + k]!;
      a[i * n + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / a[j * n + j]!;
    }
  }
  const x = Float64Array.from(b);
  for (let c = 0; c < columns; c++) {
    for (let i = 0; i < n; i++) {
      let sum = x[i * columns + c]!;
      for (let k = 0; k < i; k++) sum -= a[i * n + k]! * x[k * columns + c]!;
      x[i * columns + c] = sum / a[i * n + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = x[i * columns + c]!;
      for (let k = i + 1; k < n; k++) sum -= a[k * n + i]! * x[k * columns + c]!;
      x[i * columns + c] = sum / a[i * n + i]!;
    }
  }
  return x;
}
