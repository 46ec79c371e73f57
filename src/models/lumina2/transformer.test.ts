import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { float32, furthest, maskOf, openTransformer, row, zeros } from '../../../test/lumina2/transformer.ts';
import { readReference, referenceVariants } from '../../../test/reference-vectors.ts';
import { Runtime } from '../../runtime/index.ts';
import { type CompiledProgram, compile, input, type TensorValue } from '../../tensor/index.ts';
import { codeMaps } from './star-inputs.ts';
import { declareLuminaTransformer, luminaTransformer } from './transformer.ts';
import { compileLuminaTransformer } from './transformer-program.ts';

type Opened = Awaited<ReturnType<typeof openTransformer>>;

let runtime: Runtime;
beforeAll(async () => {
  runtime = await Runtime.create({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.dispose());

async function run(program: CompiledProgram, { weights }: Opened, feeds: Readonly<Record<string, TensorValue>>) {
  await using session = await runtime.load(program, { weightsFolder: weights.folder });
  const outputs = await session.run(feeds);
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
}

/** The transformer over both halves, as its vectors have them. */
function compileWhole({ config, codeChannels, weights }: Opened, height: number, width: number): CompiledProgram {
  const channels = config.latentChannels + codeChannels;
  const inputs = {
    states: input('states', 'float32', ['batch', channels, height, width]),
    timestep: input('timestep', 'float32', ['batch']),
    caption: input('caption', 'float32', ['batch', 'tokens', config.captionDim]),
    captionMask: input('caption_mask', 'int64', ['batch', 'tokens']),
  };
  const model = declareLuminaTransformer(weights.declare, config, { codeChannels });
  const sample = luminaTransformer(inputs, model, config);
  return compile({ name: 'whole', inputs: Object.values(inputs), outputs: { sample } });
}

/** Feeds of `diffusion_transformer`, whose captions have no and 27 tokens. */
function wholeFeeds(expected: ReturnType<typeof readReference>): Record<string, TensorValue> {
  const { shape, data } = expected.encoder_attention_mask!;
  return {
    states: float32(expected.hidden_states!),
    timestep: float32(expected.timestep!),
    caption: float32(expected.encoder_hidden_states!),
    caption_mask: { dtype: 'int64', shape, data: BigInt64Array.from(data, (value) => BigInt(value)) },
  };
}

describe.each(referenceVariants)('the diffusion transformer of %s', (variant) => {
  let opened: Opened;
  beforeAll(async () => {
    opened = await openTransformer(variant);
  });

  it('computes what the published one does', async () => {
    const expected = readReference(variant, 'diffusion_transformer');
    const [height, width] = expected.hidden_states!.shape.slice(2) as [number, number];
    const { sample } = await run(compileWhole(opened, height, width), opened, wholeFeeds(expected));
    expect(furthest(sample!, expected.sample!.data)).toBeLessThan(1e-5);
  });

  it('gives a row what it gives it alone, whatever stands in the padding', async () => {
    const expected = readReference(variant, 'diffusion_transformer');
    const [height, width] = expected.hidden_states!.shape.slice(2) as [number, number];
    const program = compileWhole(opened, height, width);
    const together = wholeFeeds(expected);
    const { sample: both } = await run(program, opened, together);
    // The empty caption still has an axis of one place, which is padding.
    for (const [index, tokens, length] of [
      [0, 1, 0],
      [1, 27, 27],
      [1, 33, 27],
    ] as const) {
      const caption = row(together.caption!, index, tokens);
      (caption.data as Float32Array).fill(1e3, length * opened.config.captionDim);
      const { sample } = await run(program, opened, {
        states: row(together.states!, index),
        timestep: row(together.timestep!, index),
        caption,
        caption_mask: maskOf([length], tokens),
      });
      const own = both!.subarray(index * sample!.length, (index + 1) * sample!.length);
      expect(furthest(sample!, own), `row ${index}, ${tokens} tokens`).toBeLessThan(1e-5);
    }
  });

  it('predicts the upper half as a program, from latent, source and codes', async () => {
    const { clean_latents, noise, sigma, interpolated_vq, prediction } = readReference(variant, 'train_diffusion');
    const text = readReference(variant, 'diffusion_text_encoder');
    const [share] = sigma!.data as Float32Array;
    const data = Float32Array.from(
      noise!.data,
      (value, at) => share! * value + (1 - share!) * clean_latents!.data[at]!,
    );
    const [height, width] = noise!.shape.slice(2) as [number, number];
    const { codeChannels, config, weights } = opened;
    const program = compileLuminaTransformer(weights.declare, config, {
      codeChannels,
      sourceChannels: 0,
      height,
      width,
    });
    const actual = await run(program, opened, {
      latents: float32({ shape: noise!.shape, data }),
      source: zeros(noise!.shape),
      codes: float32(interpolated_vq!),
      timestep: float32({ shape: [1], data: Float32Array.of(1 - share!) }),
      caption: float32(text.prompt_embeds!),
      caption_mask: maskOf([27], 40),
    });
    expect(furthest(actual.prediction!, prediction!.data)).toBeLessThan(1e-5);
  });

  it('resizes code embeddings to the latent', async () => {
    const { gen_image_embeds, interpolated_vq } = readReference(variant, 'train_diffusion');
    const [height, width] = interpolated_vq!.shape.slice(2) as [number, number];
    const embeddings = input('embeddings', 'float32', gen_image_embeds!.shape);
    const maps = codeMaps(embeddings, opened.pixelEncoder.gridSize, [height, width]);
    const program = compile({ name: 'maps', inputs: [embeddings], outputs: { maps } });
    const actual = await run(program, opened, { embeddings: float32(gen_image_embeds!) });
    expect(furthest(actual.maps!, interpolated_vq!.data)).toBeLessThan(1e-6);
  });
});

describe('captions of different lengths', () => {
  const golden = JSON.parse(
    readFileSync(new URL('../../../test/lumina2/ragged.json', import.meta.url), 'utf8'),
  ) as Record<'lumina' | 'star', number[]> & { lengths: number[]; step: number };
  const { hidden_states, timestep, encoder_hidden_states } = readReference('tiny-a', 'diffusion_transformer');
  const tokens = encoder_hidden_states!.shape[1]!;
  /** The rows the other way round, so that the row without tokens gets some. */
  const caption = { ...encoder_hidden_states!, data: reversedTokens(encoder_hidden_states!) };
  const conditions = {
    timestep: float32(timestep!),
    caption: float32(caption),
    caption_mask: maskOf(golden.lengths, tokens),
  };
  const every = (values: Float32Array) => values.filter((_, at) => at % golden.step === 0);

  it("computes what the published transformer does, of STAR's", async () => {
    const opened = await openTransformer('tiny-a');
    const [height, width] = hidden_states!.shape.slice(2) as [number, number];
    const { sample } = await run(compileWhole(opened, height, width), opened, {
      states: float32(hidden_states!),
      ...conditions,
    });
    expect(furthest(every(sample!), golden.star)).toBeLessThan(1e-5);
  });

  it('computes what the published transformer does, of Lumina itself', async () => {
    const opened = await openTransformer('tiny-a', 'lumina');
    const [batch, channels, whole, width] = hidden_states!.shape as [number, number, number, number];
    const height = whole / 2;
    const { latentChannels } = opened.config;
    const latents = zeros([batch, latentChannels, height, width]);
    const map = height * width;
    for (let place = 0; place < batch * latentChannels; place++) {
      const from = 2 * map * (channels * Math.floor(place / latentChannels) + (place % latentChannels));
      (latents.data as Float32Array).set(hidden_states!.data.subarray(from, from + map) as Float32Array, place * map);
    }
    const program = compileLuminaTransformer(opened.weights.declare, opened.config, {
      codeChannels: 0,
      sourceChannels: 0,
      height,
      width,
    });
    const { prediction } = await run(program, opened, { latents, ...conditions });
    expect(furthest(every(prediction!), golden.lumina)).toBeLessThan(1e-5);
  });
});

/** Each row's tokens from the last to the first. */
function reversedTokens({ shape, data }: { shape: number[]; data: Float32Array | Int32Array }): Float32Array {
  const [, tokens, size] = shape as [number, number, number];
  return Float32Array.from(data, (_, at) => {
    const token = Math.floor(at / size);
    const turned = token - (token % tokens) + tokens - 1 - (token % tokens);
    return data[turned * size + (at % size)]!;
  });
}

describe('a program of the diffusion transformer', () => {
  let opened: Opened;
  beforeAll(async () => {
    opened = await openTransformer('tiny-a');
  });

  it.each([
    ['a height that is no whole patches', { height: 7, width: 8 }, /multiples of 4 and 2, got \[batch, 20, 14, 8\]/],
    ['more patches than there are positions', { height: 34, width: 8 }, /32 x 32 patches, got tokens and 34 x 4/],
    ['as many more columns', { height: 8, width: 66 }, /32 x 32 patches, got tokens and 8 x 33/],
  ])('refuses %s', (_, grid, message) => {
    const { config, codeChannels, weights } = opened;
    expect(() =>
      compileLuminaTransformer(weights.declare, config, { codeChannels, sourceChannels: 0, ...grid }),
    ).toThrow(message);
  });

  it('refuses captions that leave the picture no position', () => {
    const { config, codeChannels, weights } = opened;
    const build = (tokens: number) =>
      luminaTransformer(
        {
          states: input('states', 'float32', ['batch', config.latentChannels + codeChannels, 8, 4]),
          timestep: input('timestep', 'float32', ['batch']),
          caption: input('caption', 'float32', ['batch', tokens, config.captionDim]),
          captionMask: input('caption_mask', 'int64', ['batch', tokens]),
        },
        declareLuminaTransformer(weights.declare, config, { codeChannels }),
        config,
      );
    expect(() => build(64)).toThrow(/positions for 63 tokens .*got 64/);
    expect(build(63).shape).toEqual(['batch', 4, 8, 4]);
  });
});
