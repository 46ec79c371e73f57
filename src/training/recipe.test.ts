import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { completeSettings, parseChange, parseRecipe, readRecipe, recipeFields, recipeSchema } from './recipe.ts';

const schema = recipeSchema({
  stage: z.literal('small'),
  data: z.strictObject({ folder: z.string(), share: z.number().max(1).default(1) }),
});
const sound = 'stage: small\nsteps: 100\nlearningRate: 1e-3\nbatch: 8\ndata: { folder: here }\n';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'starstack-recipe-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('values in place of a recipe’s', () => {
  const read = (text: string, ...changes: string[]) => parseRecipe(text, schema, 'r.yaml', changes.map(parseChange));

  it('are put in before it is checked, the last of a key wins', () => {
    const recipe = read(sound, 'steps=7', 'data.share=0.5', 'steps=9');
    expect(recipe).toMatchObject({ steps: 9, data: { folder: 'here', share: 0.5 } });
    expect(read('stage: small\nsteps: 1\nbatch: 1\nlearningRate: 1\n', 'data={ folder: there }').data.folder).toBe(
      'there',
    );
  });

  it('leave what shares an alias as it is', () => {
    const aliases = z.strictObject({
      a: z.strictObject({ n: z.number() }),
      b: z.array(z.strictObject({ n: z.number() })),
    });
    const text = 'a: &it { n: 1 }\nb: [*it, *it]\n';
    const recipe = parseRecipe(text, aliases, 'r.yaml', [parseChange('b.1.n=2')]);
    expect(recipe).toEqual({ a: { n: 1 }, b: [{ n: 1 }, { n: 2 }] });
    expect(() => parseRecipe(text, aliases, 'r.yaml', [parseChange('b.2.n=2')])).toThrow(
      /2: expected a place from 0 to 1/,
    );
  });

  it.each([
    ['no value', 'steps', /^steps: expected KEY=VALUE/],
    ['an empty key', 'data..share=1', /expected KEY=VALUE/],
    ['no YAML', 'steps=[1', /^steps: the value is not YAML/],
    ['a key that is none', 'data.shade=1', /^r\.yaml: data\.shade: there is no such key$/],
    ['a key of JavaScript’s own', '__proto__.x=1', /__proto__/],
    ['a part of a number', 'steps.more=1', /^more: expected a part of an object or a list, got one of 100$/],
  ])('refuses %s', (_, change, message) => {
    expect(() => read(sound, change)).toThrow(message);
  });
});

describe('recipes', () => {
  it('reads a file and fills in the defaults', async () => {
    const path = join(root, 'small.yaml');
    await writeFile(path, `${sound}clipNorm: .inf\n`);
    expect(await readRecipe(path, schema)).toEqual({
      ...{ stage: 'small', steps: 100, learningRate: 1e-3, batch: 8, data: { folder: 'here', share: 1 } },
      ...{
        warmupSteps: 0,
        schedule: 'cosine',
        finalRate: 0,
        optimizer: 'adamw',
        weightDecay: 0.01,
        beta1: 0.9,
        beta2: 0.999,
      },
      ...{ clipNorm: Infinity, accumulate: 1, ema: 0, seed: 0, saveEvery: 500, keep: 3, previewEvery: 0 },
      ...{ logEvery: 10, stepsPerRun: 1 },
    });
  });

  it.each([
    ['a key that is none', `${sound}stepz: 3\n`, /^r\.yaml: stepz: there is no such key$/],
    [
      'an inner key that is none',
      sound.replace('here', 'here, shard: 2'),
      /^r\.yaml: data\.shard: there is no such key$/,
    ],
    ['a missing key', sound.replace('batch: 8\n', ''), /^r\.yaml: batch: is missing: expected number$/],
    ['a value of another type', sound.replace('100', 'many'), /^r\.yaml: steps: expected number, got "many"$/],
    ['a fraction of a step', sound.replace('100', '1.5'), /^r\.yaml: steps: expected int, got 1\.5$/],
    ['a value out of range', `${sound}ema: 1\n`, /^r\.yaml: ema: .*<1, got 1$/],
    [
      'a word that is none',
      `${sound}schedule: step\n`,
      /^r\.yaml: schedule: .*"cosine"\|"linear"\|"constant", got "step"$/,
    ],
    [
      'an interval between runs',
      `${sound}stepsPerRun: 3\n`,
      /steps: expected a multiple of stepsPerRun, which is 3, got 100/,
    ],
    ['a key given twice', `${sound}steps: 4\n`, /^r\.yaml: is not YAML: .*unique/],
    ['no YAML', 'steps: [1', /^r\.yaml: is not YAML/],
    ['no recipe', '- 1\n- 2\n', /^r\.yaml: the recipe: expected object/],
    ['nothing', '', /steps: is missing/],
  ])('refuses %s', (_, text, message) => {
    const refused = () => parseRecipe(text, schema, 'r.yaml');
    expect(refused).toThrowError(expect.objectContaining({ code: 'recipe_invalid' }));
    expect(refused).toThrowError(message);
  });

  it('names every problem', () => {
    const text = sound.replace('batch: 8', 'batch: 0').replace('100', '-1');
    expect(() => parseRecipe(text, schema, 'r.yaml')).toThrowError(/r\.yaml: steps: .*\nr\.yaml: batch: /);
  });

  it('refuses a file that cannot be read', async () => {
    await expect(readRecipe(join(root, 'none.yaml'), schema)).rejects.toMatchObject({ code: 'recipe_invalid' });
  });

  it('says of every field what it is, with its default', () => {
    for (const [name, field] of Object.entries(recipeFields)) {
      expect(field.description, name).toMatch(/\.$/);
      if (field instanceof z.ZodDefault)
        expect(field.description, name).toContain(`Default: ${field.def.defaultValue}.`);
    }
  });
});

it('completeSettings refuses what is out of range', () => {
  const refusal = { code: 'training_option_invalid', message: expect.stringMatching(/^keep: .*, got 0$/) };
  expect(() => completeSettings({ steps: 1, learningRate: 1, keep: 0 })).toThrowError(expect.objectContaining(refusal));
});
