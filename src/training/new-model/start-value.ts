/**
 * What the parameters of a new model start with.
 *
 * Transformers: normal with deviation 0.02, projections that end a residual branch divided by √(2 · layers) (Radford et
 * al. 2019). The pixel adapter and convolutions: uniform in ±1/√fan-in, PyTorch's default. The codebook: uniform in
 * ±1/codes, as published. Norms 1, biases 0 (PyTorch draws the biases of convolutions too).
 *
 * The diffusion transformer (Peebles & Xie 2023, as Lumina): uniform as Glorot & Bengio 2010, the embedding of time normal; what
 * modulates blocks and what makes the prediction are 0, so that at first all blocks over pictures are the identity; so is what
 * ends the refiner of sources, as published.
 *
 * The autoencoder: as convolutions, but for what ends a residual branch, which is 0, so that at first pictures pass through
 * levels and norms alone (docs/LOG.md has what that is worth).
 *
 * A number depends on the seed, the parameter's name and its place in it alone.
 */
import { createHash } from 'node:crypto';
import { overlayPrefixes } from '../../models/lumina2/weights.ts';
import type { ModelFolder } from '../../models/star/folder.ts';
import { stackPrefix } from '../../models/star/parameters.ts';
import { codebookName } from '../../models/vq/tokenizer.ts';
import { philox4x32 } from '../../tensor/random.ts';
import { TrainingError } from '../error.ts';

/** The two configurations that say which parameters a model has. */
export type ModelConfig = Pick<ModelFolder, 'star' | 'qwen'>;

const deviation = 0.02;

/** Names of weights that end a residual branch of a transformer. */
const residualEnd = /\.(?:self_attn\.o_proj|mlp\.down_proj|attn\.proj)\.weight$/;

/**
 * The value that a parameter of a new model starts with.
 * @param name as in the published checkpoint.
 * @param seed a whole number in 0..2^53−1.
 */
export function startValue(name: string, shape: readonly number[], config: ModelConfig, seed: number): Float32Array {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new TrainingError('training_option_invalid', `seed ${seed}: expected a whole number of at least 0`);
  }
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  if (name.endsWith('.bias')) return values;
  // Linear layers have two axes and convolutions four or five: weights of one axis belong to norms.
  if (shape.length === 1) return values.fill(1);
  const random = new RandomSequence(seed, name);
  if (name === `pixel_encoder.${codebookName}`) return random.uniform(values, 1 / shape[0]!);
  if (name.startsWith(`${overlayPrefixes.transformer}.`)) return diffusionValue(name, shape, random, values);
  if (name.startsWith(`${overlayPrefixes.vae}.`) && vaeResidualEnd.test(name)) return values;
  if (/^pixel_(?:encoder|adapter)\./.test(name) || name.startsWith(`${overlayPrefixes.vae}.`)) {
    const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
    return random.uniform(values, 1 / Math.sqrt(fanIn));
  }
  const scale = residualEnd.test(name) ? 1 / Math.sqrt(2 * layersAround(name, config)) : 1;
  return random.normal(values, deviation * scale);
}

/** Names of weights that end a residual branch of the autoencoder. */
const vaeResidualEnd = /\.(?:conv2|to_out\.0)\.weight$/;

/** Names of weights of the diffusion transformer that start as 0; the last, a source's, as published. */
const silent = /\.(?:norm1\.linear|norm_out\.linear_[12]|ori_inp_refiner\.2)\.weight$/;

function diffusionValue(
  name: string,
  [outputs, inputs]: readonly number[],
  random: RandomSequence,
  values: Float32Array,
) {
  if (silent.test(name)) return values;
  if (name.includes('.timestep_embedder.')) return random.normal(values, deviation);
  return random.uniform(values, Math.sqrt(6 / (outputs! + inputs!)));
}

/** Layers of the transformer that a parameter belongs to. */
function layersAround(name: string, { star, qwen }: ModelConfig): number {
  if (name.startsWith('llm.visual.')) return qwen.vision.depth;
  const stack = star.stackedAr.findIndex((_, index) => name.startsWith(`${stackPrefix(index)}.`));
  return stack === -1 ? qwen.text.layers : star.stackedAr[stack]!.numLayers;
}

/** Random numbers of one parameter; Philox gives four words a call, and each is used. */
class RandomSequence {
  readonly #key: readonly [number, number];
  readonly #stream: readonly [number, number];

  constructor(seed: number, name: string) {
    const hash = createHash('sha256').update(name).digest();
    this.#key = [seed >>> 0, Math.floor(seed / 2 ** 32)];
    this.#stream = [hash.readUInt32LE(0), hash.readUInt32LE(4)];
  }

  /** Fills with numbers in [−bound, bound). */
  uniform(values: Float32Array, bound: number): Float32Array {
    return this.#fill(values, (words, lane) => (2 * fraction(words[lane]!) - 1) * bound);
  }

  /** Fills with normal numbers: Box and Muller 1958, both of each pair. */
  normal(values: Float32Array, sigma: number): Float32Array {
    return this.#fill(values, (words, lane) => {
      const radius = Math.sqrt(-2 * Math.log(1 - fraction(words[lane & 2]!))) * sigma;
      const angle = 2 * Math.PI * fraction(words[(lane & 2) + 1]!);
      return radius * (lane & 1 ? Math.sin(angle) : Math.cos(angle));
    });
  }

  #fill(values: Float32Array, draw: (words: readonly number[], lane: number) => number): Float32Array {
    const [low, high] = this.#stream;
    for (let start = 0; start < values.length; start += 4) {
      const counter = start / 4;
      const words = philox4x32([counter >>> 0, Math.floor(counter / 2 ** 32), low, high], this.#key);
      const end = Math.min(4, values.length - start);
      for (let lane = 0; lane < end; lane++) values[start + lane] = draw(words, lane);
    }
    return values;
  }
}

/** The upper 24 bits of a word, in [0, 1). */
function fraction(word: number): number {
  return (word >>> 8) / 2 ** 24;
}
