import { describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../test/reference-vectors.ts';
import type { Declare } from '../nn/parameters.ts';
import { Runtime } from '../runtime/runtime.ts';
import { StarModel } from '../tasks/star-model.ts';
import { compile, constant, gradients, input, type Tensor, type TensorValue } from '../tensor/index.ts';
import { uniform } from '../tensor/random.ts';
import { adversarialLosses, declareDiscriminator, discriminate, discriminatorPrefix } from './adversarial-loss.ts';
import { startValue } from './new-model/start-value.ts';
import { compileTokenizerLoss } from './tokenizer-loss.ts';

const side = 16;
const shape = [2, 3, side, side] as const;
const length = 2 * 3 * side * side;
const form = { channels: 8, layers: 2 };
const random = (seed: number) => Float32Array.from({ length }, (_, at) => 2 * uniform(seed, 1, at) - 1);
const value = (data: Float32Array): TensorValue => ({ dtype: 'float32', shape, data });

/** Weights of a discriminator by name, larger than those that training starts with so that all terms count. */
function weightsOf(form: {
  channels: number;
  layers: number;
}): Map<string, { shape: readonly number[]; data: Float32Array }> {
  const made = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  declareDiscriminator((name, shape) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length: size }, (_, at) => 0.4 * (uniform(made.size, 2, at) - 0.5));
    if (name.endsWith('norm.weight')) for (const at of data.keys()) data[at]! += 1;
    made.set(name, { shape, data });
    return constant('float32', shape, data);
  }, form);
  return made;
}

type Maps = { readonly channels: number; readonly side: number; readonly data: Float64Array };

/** One picture through the discriminator in float64, written down without any of its code. */
function verdictsOf(picture: Float32Array, weights: ReturnType<typeof weightsOf>, layers: number): Maps {
  let maps: Maps = { channels: 3, side, data: Float64Array.from(picture) };
  for (let at = 0; at < layers + 2; at++) {
    const { shape, data } = weights.get(`discriminator.layers.${at}.conv.weight`)!;
    const [outputs, inputs] = shape as [number, number];
    const bias = weights.get(`discriminator.layers.${at}.conv.bias`)!.data;
    const stride = at < layers ? 2 : 1;
    const size = Math.floor((maps.side + 2 - 4) / stride) + 1;
    const out = new Float64Array(outputs * size * size);
    for (let o = 0; o < outputs; o++) {
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          let sum = bias[o]!;
          for (let i = 0; i < inputs; i++) {
            for (let ky = 0; ky < 4; ky++) {
              for (let kx = 0; kx < 4; kx++) {
                const [row, column] = [y * stride + ky - 1, x * stride + kx - 1];
                if (row < 0 || column < 0 || row >= maps.side || column >= maps.side) continue;
                sum +=
                  data[((o * inputs + i) * 4 + ky) * 4 + kx]! * maps.data[(i * maps.side + row) * maps.side + column]!;
              }
            }
          }
          out[(o * size + y) * size + x] = sum;
        }
      }
    }
    const norm = weights.get(`discriminator.layers.${at}.norm.weight`);
    if (norm) {
      const shift = weights.get(`discriminator.layers.${at}.norm.bias`)!.data;
      const each = (outputs / 8) * size * size;
      for (let group = 0; group < 8; group++) {
        const part = out.subarray(group * each, (group + 1) * each);
        const mean = part.reduce((a, b) => a + b, 0) / each;
        const deviation = Math.sqrt(part.reduce((a, b) => a + (b - mean) ** 2, 0) / each + 1e-6);
        part.forEach((number, index) => {
          const channel = Math.floor((group * each + index) / (size * size));
          part[index] = ((number - mean) / deviation) * norm.data[channel]! + shift[channel]!;
        });
      }
    }
    if (at < layers + 1) for (const [index, number] of out.entries()) out[index] = Math.max(number, 0.2 * number);
    maps = { channels: outputs, side: size, data: out };
  }
  return maps;
}

describe('the discriminator', () => {
  it('is PatchGAN’s: verdicts on patches, with the hinge loss', async () => {
    await using runtime = await Runtime.create({ device: 'cpu', threads: 1 });
    const weights = weightsOf(form);
    const declare: Declare = (name, shape) => constant('float32', shape, weights.get(name)!.data);
    const [drawn, pictures] = [input('drawn', 'float32', shape), input('pictures', 'float32', shape)];
    const layers = declareDiscriminator(declare, form);
    const { generator, discriminator, real, fake } = adversarialLosses(drawn, pictures, layers);
    const outputs = { verdicts: discriminate(pictures, layers), generator, discriminator, real, fake };
    await using session = await runtime.load(compile({ name: 'adversarial', inputs: [drawn, pictures], outputs }));
    const [made, true_] = [random(3), random(4)];
    const found = await session.run({ drawn: value(made), pictures: value(true_) });
    const verdicts = (all: Float32Array) =>
      [0, 1].flatMap((at) => [
        ...verdictsOf(all.subarray((at * length) / 2, ((at + 1) * length) / 2), weights, 2).data,
      ]);
    const [onReal, onDrawn] = [verdicts(true_), verdicts(made)];
    expect(found.verdicts!.shape).toEqual([2, 1, 2, 2]);
    for (const [at, each] of (found.verdicts!.data as Float32Array).entries()) expect(each).toBeCloseTo(onReal[at]!, 4);
    const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length;
    const scalar = (name: string) => (found[name]!.data as Float32Array)[0]!;
    expect(scalar('generator')).toBeCloseTo(-mean(onDrawn), 4);
    const hinge =
      mean(onReal.map((each) => Math.max(0, 1 - each))) + mean(onDrawn.map((each) => Math.max(0, 1 + each)));
    expect(scalar('discriminator')).toBeCloseTo(hinge / 2, 4);
    expect([scalar('real'), scalar('fake')]).toEqual([
      expect.closeTo(mean(onReal), 4),
      expect.closeTo(mean(onDrawn), 4),
    ]);
  });

  it('learns from its own loss alone, and the tokenizer from the other', async () => {
    await using runtime = await Runtime.create({ device: 'cpu', threads: 1 });
    const weights = weightsOf(form);
    const [drawn, pictures] = [input('drawn', 'float32', shape), input('pictures', 'float32', shape)];
    const parameters: Tensor[] = [];
    const layers = declareDiscriminator((name, shape) => {
      const parameter = constant('float32', shape, weights.get(name)!.data);
      parameters.push(parameter);
      return parameter;
    }, form);
    const { generator, discriminator } = adversarialLosses(drawn, pictures, layers);
    for (const parameter of parameters) expect(() => gradients(generator, [parameter])).toThrow(/does not depend/);
    expect(() => gradients(discriminator, [drawn])).toThrow(/does not depend/);
    const found = [...gradients(generator, [drawn]), ...gradients(discriminator, parameters)];
    const outputs = Object.fromEntries(found.map((each, at) => [`gradient.${at}`, each]));
    await using session = await runtime.load(compile({ name: 'gradients', inputs: [drawn, pictures], outputs }));
    const values = await session.run({ drawn: value(random(3)), pictures: value(random(4)) });
    for (const name of Object.keys(outputs)) {
      expect(
        (values[name]!.data as Float32Array).some((each) => each !== 0),
        name,
      ).toBe(true);
    }
  });

  it('changes nothing of the tokenizer’s loss before it counts', async () => {
    await using model = await StarModel.open(referencePath('tiny-a', '.'), { device: 'cpu', threads: 1 });
    const config = model.folder.star.pixelEncoder;
    const { image } = readReference('tiny-a', 'vq');
    const [batch, , , imageSize] = image!.shape as [number, number, number, number];
    const declare: Declare = (name, shape) =>
      name.startsWith(discriminatorPrefix)
        ? constant('float32', shape, startValue(name, shape, model.folder, 7))
        : model.weights.declare(name, shape);
    const name = 'pixel_encoder.decoder.conv_out.weight';
    const run = async (adversarial: boolean, on = 0) => {
      const shapes = { batch, imageSize, ...(adversarial ? { adversarial: { ...form, weight: 0.5 } } : {}) };
      const program = compileTokenizerLoss(declare, config, shapes, { gradients: [name] });
      await using session = await model.runtime.load(program, { weightsFolder: model.weights.folder });
      const flag: TensorValue = { dtype: 'float32', shape: [1], data: Float32Array.of(on) };
      const picture: TensorValue = { dtype: 'float32', shape: image!.shape, data: image!.data as Float32Array };
      const found = await session.run({ picture, ...(adversarial ? { adversarial: flag } : {}) });
      return { loss: (found.loss!.data as Float32Array)[0]!, gradient: found[`grad.${name}`]!.data as Float32Array };
    };
    const [without, off, on] = [await run(false), await run(true), await run(true, 1)];
    expect(off.loss).toBe(without.loss);
    for (const [at, each] of off.gradient.entries()) expect(each).toBeCloseTo(without.gradient[at]!, 6);
    expect(on.loss).toBeGreaterThan(without.loss + 0.5);
    expect(on.gradient).not.toEqual(without.gradient);
  });
});
