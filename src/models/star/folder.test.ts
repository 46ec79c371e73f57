import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { referencePath, referenceVariants } from '../../../test/reference-vectors.ts';
import { ConfigError } from '../config-error.ts';
import { openModelFolder } from './folder.ts';

const qwen = 'checkpoints/Qwen2.5-VL-tiny-Instruct';

test.each(referenceVariants)('opens %s', async (variant) => {
  const root = referencePath(variant, '');
  const model = await openModelFolder(root);
  expect(path.relative(root, model.configFile)).toBe('STAR_tiny.json');
  expect(path.relative(root, model.checkpointFile)).toBe('checkpoints/STAR-tiny.pt');
  expect(path.relative(root, model.pixelEncoderFile!)).toBe('checkpoints/VQ-Model.pt');
  expect(path.relative(root, model.languageModelFolder)).toBe(qwen);
  expect(path.relative(root, model.preprocessorFile)).toBe(`${qwen}/preprocessor_config.json`);
  expect(model.star.pixelAdapter.hiddenSize).toBe(model.qwen.text.hiddenSize);
  expect(model.generation.endTokens).toEqual([447, 445]);
});

describe('a folder that is not complete', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'star-folder-'));
    await cp(referencePath('tiny-a', ''), folder, {
      recursive: true,
      filter: (source) => !source.includes('expected'),
    });
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  const at = (name: string) => path.join(folder, name);
  async function editConfig(change: (config: Record<string, Record<string, unknown>>) => void) {
    const config = JSON.parse(await readFile(at('STAR_tiny.json'), 'utf8'));
    change(config);
    await writeFile(at('STAR_tiny.json'), JSON.stringify(config));
  }

  test.each([
    ['STAR_tiny.json', /expected one STAR_<name>\.json, got none/],
    ['checkpoints/STAR-tiny.pt', /expected one STAR-<name>\.pt or .*, got none/],
    ['checkpoints/VQ-Model.pt', /pixel_encoder\.model_path: expected a file at .*VQ-Model\.pt, got none there/],
    [qwen, /language_model\.model_path: expected a folder at /],
    [`${qwen}/config.json`, /config\.json: expected a readable file, got ENOENT/],
    [`${qwen}/generation_config.json`, /generation_config\.json: expected a readable file, got ENOENT/],
    [`${qwen}/preprocessor_config.json`, /preprocessor_config\.json: expected the settings/],
    ['checkpoints', /expected a folder with STAR-<name>/],
  ])('without %s', async (name, message) => {
    await rm(at(name), { recursive: true });
    const failure = openModelFolder(folder);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toMatchObject({ code: 'config_not_found' });
  });

  test('two checkpoints need a choice', async () => {
    await writeFile(at('checkpoints/STAR-other.safetensors'), '');
    await expect(openModelFolder(folder)).rejects.toThrow(/STAR-other\.safetensors, STAR-tiny\.pt; choose/);
    const chosen = await openModelFolder(folder, { checkpoint: 'STAR-other.safetensors' });
    expect(path.basename(chosen.checkpointFile)).toBe('STAR-other.safetensors');
    await expect(openModelFolder(folder, { checkpoint: '../STAR_tiny.json' })).rejects.toThrow(ConfigError);
  });

  test.each(['/etc/passwd', '../outside', 'checkpoints/../../x', 'C:\\x', '..\\x', '\\\\host\\x', '.'])(
    'a path out of the folder is refused: %s',
    async (named) => {
      await editConfig((config) => {
        config.pixel_encoder!.model_path = named;
      });
      await expect(openModelFolder(folder)).rejects.toThrow(/pixel_encoder\.model_path: expected a path relative/);
    },
  );

  test('a hub id finds the folder of its name in checkpoints', async () => {
    await editConfig((config) => {
      config.language_model!.model_path = 'Qwen/Qwen2.5-VL-tiny-Instruct';
    });
    expect((await openModelFolder(folder)).languageModelFolder).toBe(at(qwen));
  });

  test('a diffusion decoder that was not downloaded is told, not an error', async () => {
    await rename(at('checkpoints/VQ-Model.pt'), at('checkpoints/VQ-other.pt'));
    await editConfig((config) => {
      config.pixel_encoder!.model_path = 'checkpoints/VQ-other.pt';
      config.pixel_decoder!.model_path = 'checkpoints/absent';
    });
    expect((await openModelFolder(folder)).pixelDecoder).toEqual({ folder: at('checkpoints/absent'), present: false });
  });

  test('an adapter of another width than the base', async () => {
    await editConfig((config) => {
      config.pixel_adapter!.n_embed = 65;
      config.pixel_output_head!.n_embed = 65;
    });
    await expect(openModelFolder(folder)).rejects.toThrow(/pixel_adapter\.n_embed: .*64, got 65/);
  });

  test('broken and oversized JSON', async () => {
    await writeFile(at('STAR_tiny.json'), '{"model_name": ');
    await expect(openModelFolder(folder)).rejects.toThrow(/STAR_tiny\.json: expected JSON, got /);
    await writeFile(at('STAR_tiny.json'), ' '.repeat((1 << 20) + 1));
    await expect(openModelFolder(folder)).rejects.toThrow(/expected at most 1048576 bytes, got 1048577/);
    await writeFile(at('STAR_tiny.json'), Uint8Array.of(0x22, 0xff, 0x22));
    await expect(openModelFolder(folder)).rejects.toThrow(/expected UTF-8 text/);
  });
});
