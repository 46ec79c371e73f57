import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/data/picture-sets.ts';
import { openSafetensors } from '../../checkpoint/open.ts';
import type { Cursor } from '../stream.ts';
import { createTokenWriter, resumeTokenWriter, type TokenizedPicture } from './token-writer.ts';
import { openTokenStream, openTokens, type TokenSample } from './tokens.ts';

const tokenizer = 'vq-1234';
const count = 11;
/** Codes up to the very last of the vocabulary; every third prompt as ids. */
const sample = (index: number, vocabulary: number): TokenizedPicture => ({
  codes: [index, vocabulary - 1 - index, 0, 3],
  ...(index % 3 === 2 ? { promptIds: [index, 2 ** 31 - 1] } : { prompt: `prompt ${index} – „ü"\n𝄞` }),
});

async function write(folder: string, vocabulary = 65_536): Promise<void> {
  const writer = await createTokenWriter(folder, { tokenizer, tokens: 4, vocabulary, shardSamples: 4 });
  for (let index = 0; index < count; index++) await writer.add(sample(index, vocabulary));
  const manifest = await writer.finish();
  expect(manifest.shards.map(({ samples }) => samples)).toEqual([4, 4, 3]);
}
const told = ({ codes, prompt, promptIds }: TokenSample) =>
  JSON.stringify([[...codes], prompt, promptIds && [...promptIds]]);

describe('token data', () => {
  it.each([65_536, 65_537])('reads by number what was written, with a vocabulary of %i', async (vocabulary) => {
    await using folder = await temporaryFolder();
    await write(folder.path, vocabulary);
    const data = await openTokens(folder.path, { tokenizer });
    expect(data.count).toBe(count);
    for (const index of [10, 0, 4, 3, 7, 2, 1]) {
      const { codes, prompt, promptIds } = sample(index, vocabulary);
      const read = await data.read(index);
      expect([...read.codes]).toEqual([...(codes as number[])]);
      expect(read.prompt).toBe(prompt);
      expect(read.promptIds && [...read.promptIds]).toEqual(promptIds);
    }
    for (const index of [-1, count, 0.5]) {
      await expect(data.read(index)).rejects.toMatchObject({ code: 'data_option_invalid' });
    }
    await using file = await openSafetensors(join(folder.path, 'codes-00002.safetensors'));
    expect(file.entries.get('codes')).toMatchObject({ shape: [3, 4], dtype: vocabulary > 65_536 ? 'int32' : 'int16' });
  });

  it('streams each sample once an epoch, and goes on from every place', async () => {
    await using folder = await temporaryFolder();
    await write(folder.path);
    await using stream = await openTokenStream(folder.path, { tokenizer, seed: 2 });
    const whole = (await stream.next(30)).map(told);
    expect(new Set(whole.slice(0, count)).size).toBe(count);
    expect([...whole.slice(0, count)].sort()).toEqual([...whole.slice(count, 2 * count)].sort());
    expect(whole.slice(0, count)).not.toEqual(whole.slice(count, 2 * count));
    await using again = await openTokenStream(folder.path, { tokenizer, seed: 2, prefetch: 1 });
    for (let given = 0; given < 24; given += 3) {
      const cursor = JSON.parse(JSON.stringify(again.cursor())) as Cursor;
      await using resumed = await openTokenStream(folder.path, { tokenizer, seed: 2, verify: false }, cursor);
      expect((await resumed.next(3)).map(told)).toEqual(whole.slice(given, given + 3));
      await again.next(3);
    }
    await expect(openTokenStream(folder.path, { tokenizer, seed: 3 }, again.cursor())).rejects.toThrow(/cursor/);
  });

  it('is refused for another tokenizer', async () => {
    await using folder = await temporaryFolder();
    await write(folder.path);
    await expect(openTokens(folder.path, { tokenizer: 'vq-5678' })).rejects.toMatchObject({
      code: 'data_invalid',
      details: { expected: 'vq-5678', got: tokenizer },
    });
  });

  it('is refused where it is damaged or unfinished', async () => {
    await using folder = await temporaryFolder();
    await write(folder.path);
    for (const name of ['codes-00001.safetensors', 'prompts-00000.jsonl', 'manifest.json']) {
      const path = join(folder.path, name);
      const bytes = await readFile(path);
      const changed = Buffer.from(bytes);
      changed[changed.length - 4]! ^= 1;
      await writeFile(path, changed);
      await expect(openTokens(folder.path, { tokenizer }), name).rejects.toMatchObject({ code: 'data_invalid' });
      await writeFile(path, bytes.subarray(1));
      const unchecked = openTokens(folder.path, { tokenizer, verify: false });
      await expect(unchecked, name).rejects.toMatchObject({ code: 'data_invalid' });
      await writeFile(path, bytes);
    }
    const manifest = await readFile(join(folder.path, 'manifest.json'), 'utf8');
    const hostile = manifest.replace('prompts-00000.jsonl', '../prompts-00000.jsonl');
    await writeFile(join(folder.path, 'manifest.json'), hostile);
    await expect(openTokens(folder.path, { tokenizer })).rejects.toMatchObject({ code: 'data_invalid' });
    await rm(join(folder.path, 'manifest.json'));
    await expect(openTokens(folder.path, { tokenizer })).rejects.toMatchObject({ code: 'data_not_found' });
  });

  it('is written into empty folders only, of valid samples only', async () => {
    await using folder = await temporaryFolder();
    const options = { tokenizer, tokens: 4, vocabulary: 100 };
    const writer = await createTokenWriter(folder.path, options);
    const wrong = [
      [1, 2, 3],
      [1, 2, 3, 100],
      [1, 2, 3, -1],
      [1, 2, 3, 0.5],
      [1, 2, 3, Number.NaN],
    ];
    for (const codes of wrong) {
      await expect(writer.add({ codes, prompt: 'x' })).rejects.toMatchObject({ code: 'data_invalid' });
    }
    await expect(writer.add({ codes: [1, 2, 3, 4], prompt: '\ud800' })).rejects.toMatchObject({ code: 'data_invalid' });
    await expect(writer.finish()).rejects.toMatchObject({ code: 'data_exhausted' });
    await writeFile(join(folder.path, 'x'), '');
    for (const [path, changed] of [
      [folder.path, options],
      [join(folder.path, 'new'), { ...options, tokens: 0 }],
      [join(folder.path, 'new'), { ...options, tokenizer: '' }],
    ] as const) {
      await expect(createTokenWriter(path, changed)).rejects.toMatchObject({ code: 'data_option_invalid' });
    }
  });

  it('holds edits with the picture before, in every bit', async () => {
    await using folder = await temporaryFolder();
    const options = { tokenizer, tokens: 2, vocabulary: 9, edits: true, shardSamples: 2 };
    const image = (seed: number) => ({
      ...{ width: 3, height: 2 },
      data: Uint8Array.from({ length: 18 }, (_, at) => (at * 37 * seed) % 256),
    });
    const writer = await createTokenWriter(folder.path, options);
    for (const at of [1, 2, 3]) {
      await writer.add({ codes: [at, 0], prompt: `edit ${at}`, before: { codes: [8, at], image: image(at) } });
    }
    await expect(writer.add({ codes: [1, 0], prompt: 'x' })).rejects.toThrow(
      /expected an edit with the picture before/,
    );
    await writer.finish();
    const data = await openTokens(folder.path, { tokenizer, edits: true });
    for (const at of [3, 1, 2]) {
      const { codes, prompt, before } = await data.read(at - 1);
      expect([[...codes], prompt, [...before!.codes]]).toEqual([[at, 0], `edit ${at}`, [8, at]]);
      expect({ ...before!.image, data: [...before!.image.data] }).toEqual({ ...image(at), data: [...image(at).data] });
    }
    await expect(openTokens(folder.path, { tokenizer, edits: false })).rejects.toThrow(
      /captioned pictures, got one of/,
    );
    const path = join(folder.path, 'before-00001.bin');
    await writeFile(path, (await readFile(path)).subarray(1));
    await expect(openTokens(folder.path, { tokenizer })).rejects.toThrow(/before-00001\.bin: is not the file/);
  });

  it('that was not finished is gone on with, by the same tokenizer alone', async () => {
    await using folder = await temporaryFolder();
    const options = { tokenizer, tokens: 4, vocabulary: 100, shardSamples: 4 };
    const killed = await createTokenWriter(folder.path, options);
    for (let index = 0; index < 6; index++) await killed.add(sample(index, 100), { next: index + 1 });
    // Four are in a file; the others were lost with the process, which left this too.
    await writeFile(join(folder.path, '.codes-00001.safetensors.a1b2c3.tmp'), 'half');
    await expect(openTokens(folder.path, { tokenizer })).rejects.toMatchObject({ code: 'data_not_found' });
    await expect(createTokenWriter(folder.path, options)).rejects.toThrow(/was not finished; resume it/);
    await expect(resumeTokenWriter(folder.path, { ...options, tokenizer: 'vq-5678' })).rejects.toThrow(
      /was begun with tokenizer vq-1234, now it is vq-5678/,
    );

    const { writer, cursor } = await resumeTokenWriter(folder.path, options);
    expect(cursor).toEqual({ next: 4 });
    expect(writer.samples).toBe(4);
    await writer.add(sample(4, 100), { next: 5 });
    await writer.flush();
    const { writer: last, cursor: next } = await resumeTokenWriter(folder.path, options);
    expect(next).toEqual({ next: 5 });
    for (let index = 5; index < count; index++) await last.add(sample(index, 100), { next: index + 1 });
    expect((await last.finish()).shards.map(({ samples }) => samples)).toEqual([4, 1, 4, 2]);
    const data = await openTokens(folder.path, { tokenizer });
    for (let index = 0; index < count; index++) {
      expect([...(await data.read(index)).codes]).toEqual([...(sample(index, 100).codes as number[])]);
    }
    await expect(resumeTokenWriter(folder.path, options)).rejects.toThrow(/holds manifest\.json/);
  });
});
