import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ReferenceVariant,
  readReference,
  readReferenceMeta,
  referencePath,
  referenceVariants,
} from '../../../test/reference-vectors.ts';
import { nodeFiles } from '../../checkpoint/node-files.ts';
import { Runtime } from '../../runtime/runtime.ts';
import { readJsonFile } from '../config-file.ts';
import { openLumina2Folder } from './folder.ts';
import { compileGemma2, declareGemma2, unusedInGemma2 } from './gemma2.ts';
import { type Gemma2Config, parseGemma2Config } from './gemma2-config.ts';
import {
  type CaptionTokens,
  captionFeeds,
  framePrompt,
  loadCaptionTokenizer,
  tokenizeCaption,
} from './gemma2-prompt.ts';
import { openPartWeights } from './weights.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await Runtime.create({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime[Symbol.asyncDispose]());

/** The text encoder of a variant, loaded, and the meta file's prompt in tokens. */
async function open(variant: ReferenceVariant, change: Partial<Gemma2Config> = {}) {
  const { textEncoder, tokenizer, folder } = await openLumina2Folder(
    nodeFiles,
    referencePath(variant, 'checkpoints/lumina-image2-tiny'),
  );
  const published = parseGemma2Config(await readJsonFile(textEncoder.configFile), textEncoder.configFile);
  const config = { ...published, ...change };
  const weights = await openPartWeights(textEncoder, (declare) => declareGemma2(declare, config), {
    files: nodeFiles,
    folder,
    ignore: (name) => unusedInGemma2(name, config),
  });
  const { diffusion } = readReferenceMeta(variant) as {
    diffusion: { prompt: string; system_prompt: string; max_sequence_length: number };
  };
  const length = diffusion.max_sequence_length;
  const caption = await loadCaptionTokenizer(nodeFiles, tokenizer.folder, config.vocabSize);
  const session = await runtime.load(compileGemma2(weights.declare, config, length), { weightsFolder: weights.folder });
  return {
    caption,
    length,
    prompt: tokenizeCaption(framePrompt(diffusion.prompt, diffusion.system_prompt), caption, length),
    negative: tokenizeCaption('', caption, length),
    states: async (captions: readonly CaptionTokens[]) => {
      const { states } = await session.run(captionFeeds(captions));
      return { shape: states!.shape, data: states!.data as Float32Array };
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

function largestDifference(actual: Float32Array, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  return actual.reduce((largest, value, index) => {
    const difference = Math.abs(value - expected[index]!);
    return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(largest, difference);
  }, 0);
}

describe.each(referenceVariants)('%s', (variant) => {
  const expected = readReference(variant, 'diffusion_text_encoder');

  test('tokens and mask are those of the pipeline, and the states its states, padding included', async () => {
    await using encoder = await open(variant);
    const { prompt, negative } = encoder;
    expect([...prompt.mask]).toEqual([...expected.prompt_attention_mask!.data]);
    expect([...negative.mask]).toEqual([...expected.negative_attention_mask!.data]);
    const { shape, data } = await encoder.states([prompt, negative]);
    const { shape: one, data: positive } = expected.prompt_embeds!;
    expect(shape).toEqual([2, ...one.slice(1)]);
    const differences = [
      largestDifference(data.subarray(0, positive.length), positive),
      largestDifference(data.subarray(positive.length), expected.negative_prompt_embeds!.data),
    ];
    expect(Math.max(...differences), `${differences}`).toBeLessThan(2e-5);
  });

  test('the soft cap, the windows and the scale all tell in the states', async () => {
    const change = async (changed: Partial<Gemma2Config>) => {
      await using encoder = await open(variant, changed);
      const { data } = await encoder.states([encoder.prompt]);
      return largestDifference(data, expected.prompt_embeds!.data);
    };
    expect(await change({ scoreSoftCap: undefined })).toBeGreaterThan(1e-3);
    expect(await change({ windows: [undefined, undefined, undefined, undefined] })).toBeGreaterThan(1e-3);
    expect(await change({ windows: [undefined, 16, undefined, 16] })).toBeGreaterThan(1e-3);
    expect(await change({ scoreScale: 1 / 4 })).toBeGreaterThan(1e-3);
  });
});

test('states of tokens do not depend on the padding behind them', async () => {
  await using encoder = await open('tiny-a');
  const { prompt } = encoder;
  const present = prompt.mask.filter((value) => value === 1).length;
  const whole = await encoder.states([prompt]);
  const cut = { ids: prompt.ids.slice(0, present), mask: prompt.mask.slice(0, present), dropped: 0 };
  const trimmed = await encoder.states([cut]);
  expect(trimmed.shape).toEqual([1, present, 32]);
  expect(largestDifference(trimmed.data, whole.data.subarray(0, trimmed.data.length))).toBeLessThan(1e-5);
});

test('more tokens than announced are refused', async () => {
  await using encoder = await open('tiny-a');
  const long = tokenizeCaption('a cat', encoder.caption, encoder.length + 1);
  await expect(encoder.states([long])).rejects.toThrow();
});
