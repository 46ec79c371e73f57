import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { referencePath, referenceVariants } from '../../../test/reference-vectors.ts';
import { nodeFiles } from '../../checkpoint/node-files.ts';
import { openLumina2Folder } from './folder.ts';

const diffusers = 'checkpoints/lumina-image2-tiny';

test.each(referenceVariants)('opens the folder of %s', async (variant) => {
  const root = referencePath(variant, diffusers);
  const { folder, indexFile, transformer, vae, textEncoder, tokenizer, scheduler } = await openLumina2Folder(
    nodeFiles,
    root,
  );
  expect(folder).toBe(root);
  const relative = (file: string) => path.relative(root, file);
  expect(relative(indexFile)).toBe('model_index.json');
  expect([transformer, vae, textEncoder].map((part) => relative(part.configFile))).toEqual([
    'transformer/config.json',
    'vae/config.json',
    'text_encoder/config.json',
  ]);
  expect(relative(transformer.weightsFile)).toBe('transformer/diffusion_pytorch_model.safetensors');
  expect(relative(textEncoder.weightsFile)).toBe('text_encoder/model.safetensors');
  expect(vae.weightFiles).toEqual([vae.weightsFile]);
  expect([tokenizer.tokenizerFile, tokenizer.configFile].map(relative)).toEqual([
    'tokenizer/tokenizer.json',
    'tokenizer/tokenizer_config.json',
  ]);
  expect(relative(scheduler.configFile)).toBe('scheduler/scheduler_config.json');
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'lumina2-folder-'));
  await cp(referencePath('tiny-a', diffusers), folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

const at = (name: string) => path.join(folder, name);
async function editJson(name: string, change: (json: Record<string, unknown>) => void): Promise<void> {
  const json = JSON.parse(await readFile(at(name), 'utf8'));
  change(json);
  await writeFile(at(name), JSON.stringify(json));
}

const weights = 'diffusion_pytorch_model.safetensors';
const index = `vae/${weights}.index.json`;
const shards = [
  'diffusion_pytorch_model-00001-of-00002.safetensors',
  'diffusion_pytorch_model-00002-of-00002.safetensors',
];

/** The vae's weights as two files; what is in them does not matter here. */
async function shard(names: readonly string[] = shards): Promise<void> {
  await rm(at(`vae/${weights}`));
  for (const name of shards) await writeFile(at(`vae/${name}`), '');
  const weight_map = { 'encoder.a': names[1], 'encoder.b': names[0], 'decoder.c': names[1] };
  await writeFile(at(index), JSON.stringify({ metadata: { total_size: 0 }, weight_map }));
}

describe('a folder with what others have too', () => {
  test('weights in several files', async () => {
    await shard();
    const { vae } = await openLumina2Folder(nodeFiles, folder);
    expect(vae.weightsFile).toBe(at(index));
    expect(vae.weightFiles).toEqual(shards.map((name) => at(`vae/${name}`)));
  });

  test('the older name of the pipeline, a part that was left out, another tokenizer class', async () => {
    await editJson('model_index.json', (json) => {
      json._class_name = 'Lumina2Text2ImgPipeline';
      json.image_encoder = [null, null];
      json.tokenizer = ['transformers', 'GemmaTokenizerFast'];
    });
    expect((await openLumina2Folder(nodeFiles, folder)).vae.folder).toBe(at('vae'));
  });
});

describe('a folder that is not complete', () => {
  test.each([
    ['model_index.json', /model_index\.json: expected a readable file, got ENOENT$/],
    ['transformer', /transformer: expected the folder of the transformer, got ENOENT$/],
    ['vae', /vae: expected the folder of the vae, got ENOENT$/],
    ['text_encoder', /text_encoder: expected the folder of the text_encoder, got ENOENT$/],
    ['tokenizer', /tokenizer: expected the folder of the tokenizer, got ENOENT$/],
    ['scheduler', /scheduler: expected the folder of the scheduler, got ENOENT$/],
    ['vae/config.json', /vae\/config\.json: expected a file, got none of that name$/],
    ['tokenizer/tokenizer.json', /tokenizer\/tokenizer\.json: expected a file, got none of that name$/],
    ['tokenizer/tokenizer_config.json', /tokenizer_config\.json: expected a file, got none of that name$/],
    ['scheduler/scheduler_config.json', /scheduler_config\.json: expected a file, got none of that name$/],
    [`vae/${weights}`, /vae: expected either diffusion_pytorch_model\.safetensors or .*index\.json, got config\.json$/],
    [`transformer/${weights}`, /transformer: expected either diffusion_pytorch_model\.safetensors or /],
    ['text_encoder/model.safetensors', /text_encoder: expected either model\.safetensors or .*, got config\.json$/],
  ])('without %s', async (name, message) => {
    await rm(at(name), { recursive: true });
    const failure = openLumina2Folder(nodeFiles, folder);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toMatchObject({ name: 'ConfigError', code: 'config_not_found' });
  });

  test('a file in the place of a folder', async () => {
    await rm(at('vae'), { recursive: true });
    await writeFile(at('vae'), '');
    await expect(openLumina2Folder(nodeFiles, folder)).rejects.toThrow(
      /vae: expected the folder of the vae, got ENOTDIR$/,
    );
  });

  test('weights of another format are told', async () => {
    await rename(at(`vae/${weights}`), at('vae/diffusion_pytorch_model.bin'));
    await expect(openLumina2Folder(nodeFiles, folder)).rejects.toThrow(
      /got config\.json, diffusion_pytorch_model\.bin$/,
    );
  });

  test('a file that the index names is missing', async () => {
    await shard();
    await rm(at(`vae/${shards[0]}`));
    const failure = openLumina2Folder(nodeFiles, folder);
    await expect(failure).rejects.toThrow(
      /index\.json, weight_map\.encoder\.b: expected .*00001-of-00002.* in the same/,
    );
    await expect(failure).rejects.toMatchObject({ code: 'config_not_found' });
  });

  test('one file and an index of several', async () => {
    await shard();
    await writeFile(at(`vae/${weights}`), '');
    await expect(openLumina2Folder(nodeFiles, folder)).rejects.toThrow(/vae: expected either .* or .*, got both$/);
  });
});

describe('a folder from strangers', () => {
  test.each(['/etc/passwd', '../transformer/x.safetensors', 'C:\\x', '..\\x', 'a/b', '..', '.', ''])(
    'an index that names %j is refused',
    async (named) => {
      await shard([named, shards[1]!]);
      await expect(openLumina2Folder(nodeFiles, folder)).rejects.toThrow(
        /weight_map\.encoder\.b: expected a file name in the same folder, without a path, got "/,
      );
    },
  );

  test('a part cannot lead out of the folder', async () => {
    await mkdir(at('inside'));
    await editJson('model_index.json', (json) => {
      json['../vae'] = ['diffusers', 'AutoencoderKL'];
    });
    await expect(openLumina2Folder(nodeFiles, folder)).rejects.toThrow(
      /\.\.\/vae: expected no other parts than transformer, vae/,
    );
  });

  test.each<[string, unknown, RegExp]>([
    ['_class_name', 'FluxPipeline', /_class_name: expected Lumina2Pipeline or .*, got "FluxPipeline"$/],
    ['_class_name', undefined, /_class_name: expected Lumina2Pipeline or .*, got nothing$/],
    [
      'vae',
      ['diffusers', 'AutoencoderDC'],
      /vae: expected AutoencoderKL of diffusers, got \["diffusers","AutoencoderDC"\]$/,
    ],
    ['vae', ['my_code', 'AutoencoderKL'], /vae: expected AutoencoderKL of diffusers, got \["my_code"/],
    ['text_encoder', ['transformers', 'T5EncoderModel'], /text_encoder: expected Gemma2Model of transformers, got /],
    ['scheduler', [null, null], /scheduler: expected FlowMatchEulerDiscreteScheduler of diffusers, got \[null,null\]$/],
    [
      'tokenizer',
      'GemmaTokenizer',
      /tokenizer: expected GemmaTokenizerFast or .* of transformers, got "GemmaTokenizer"$/,
    ],
    ['safety_checker', ['x', 'Y'], /safety_checker: expected no other parts than .*, got \["x","Y"\]$/],
  ])('model_index.json: %s of %j', async (key, value, message) => {
    await editJson('model_index.json', (json) => {
      json[key] = value;
    });
    const failure = openLumina2Folder(nodeFiles, folder);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toMatchObject({ code: 'config_unsupported', file: at('model_index.json') });
  });

  test('model_index.json without a part', async () => {
    await editJson('model_index.json', (json) => {
      delete json.vae;
    });
    const failure = openLumina2Folder(nodeFiles, folder);
    await expect(failure).rejects.toThrow(/model_index\.json, vae: expected AutoencoderKL of diffusers, got nothing$/);
    await expect(failure).rejects.toMatchObject({ code: 'config_not_found' });
  });

  test.each([
    ['transformer/config.json', '_class_name', /_class_name: expected "Lumina2Transformer2DModel", got "Other"$/],
    ['vae/config.json', '_class_name', /_class_name: expected "AutoencoderKL", got "Other"$/],
    ['text_encoder/config.json', 'model_type', /model_type: expected "gemma2", got "Other"$/],
    ['scheduler/scheduler_config.json', '_class_name', /expected "FlowMatchEulerDiscreteScheduler", got "Other"$/],
  ])('%s of another class', async (name, key, message) => {
    await editJson(name, (json) => {
      json[key] = 'Other';
    });
    const failure = openLumina2Folder(nodeFiles, folder);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toMatchObject({ code: 'config_unsupported', file: at(name) });
  });

  test.each(['model_index.json', 'vae/config.json', 'scheduler/scheduler_config.json'])(
    'broken JSON: %s',
    async (name) => {
      await writeFile(at(name), '[');
      await expect(openLumina2Folder(nodeFiles, folder)).rejects.toMatchObject({
        code: 'config_invalid',
        file: at(name),
      });
      await writeFile(at(name), '[]');
      await expect(openLumina2Folder(nodeFiles, folder)).rejects.toMatchObject({
        code: 'config_invalid',
        file: at(name),
      });
    },
  );
});
