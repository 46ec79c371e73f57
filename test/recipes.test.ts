/** The recipes in `recipes/`: all are read and planned, and the smallest is run from end to end. */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { readImage } from '../src/image/decode.ts';
import { readRecipe } from '../src/training/recipe.ts';
import { planStage, type StagePlan } from '../src/training/stages/plan.ts';
import { type StageName, trainingRecipeSchema } from '../src/training/stages/recipe.ts';
import { installStarstack } from './cli/starstack.ts';

const recipes = fileURLToPath(new URL('../recipes/', import.meta.url));
const starstack = installStarstack();

async function plansOf(name: string): Promise<StagePlan[]> {
  const recipe = await readRecipe(path.join(recipes, name), trainingRecipeSchema);
  return Promise.all(Object.keys(recipe.stages).map((stage) => planStage(recipe, stage as StageName)));
}

const totalOf = ({ parts }: StagePlan) => parts.reduce((sum, { parameters }) => sum + parameters, 0);
const trainedOf = ({ parts }: StagePlan) => parts.filter(({ trained }) => trained > 0).map(({ part }) => part);

describe('recipes', async () => {
  const names = (await readdir(recipes)).filter((name) => name.endsWith('.yaml'));

  test.each(names)('%s has sound sizes and settings', async (name) => {
    for (const plan of await plansOf(name)) expect(totalOf(plan)).toBeGreaterThan(0);
  });

  test('of the published sizes train what the paper trains', async () => {
    const [tokenizer, generation, alignment, instruction] = await plansOf('star-3b.yaml');
    // Qwen2.5-VL-3B has 3.75 billion parameters, 0.67 of them in the vision encoder.
    const base = generation!.parts.filter(({ part }) => part === 'base AR' || part === 'semantic encoder');
    expect(base.map(({ parameters }) => parameters)).toEqual([3_085_938_688, 668_684_288]);
    expect(base.every(({ trained }) => trained === 0)).toBe(true);
    expect(trainedOf(tokenizer!)).toEqual(['codebook', 'pixel encoder', 'pixel decoder (VQ)']);
    expect(trainedOf(generation!)).toEqual(['stacked AR', 'pixel adapter', 'pixel output head']);
    expect(trainedOf(instruction!)).toEqual(trainedOf(generation!));
    // Lumina-Image-2.0 has 2.6 billion parameters, and STAR widens it.
    expect(trainedOf(alignment!)).toEqual(['diffusion transformer']);
    const [transformer] = alignment!.parts.filter(({ trained }) => trained > 0);
    expect(transformer!.trained / 1e9).toBeCloseTo(2.6, 1);
  });

  test('nano fits into 25 MB of 16-bit weights, its diffusion decoder into 5 more', async () => {
    const decoder = ['diffusion transformer', 'autoencoder'];
    for (const plan of await plansOf('nano.yaml')) {
      const [own, added] = [false, true].map((is) => ({
        ...plan,
        parts: plan.parts.filter(({ part }) => decoder.includes(part) === is),
      }));
      expect(2 * totalOf(own!)).toBeLessThan(25e6);
      expect(2 * totalOf(added!)).toBeLessThan(5e6);
    }
  });

  test("smoke.sh trains all stages but the diffusion decoder's, draws, edits and answers", async () => {
    const env = { ...process.env, STARSTACK: `node ${starstack.main}` };
    const { stdout } = await promisify(execFile)('bash', [path.join(recipes, 'smoke.sh'), starstack.folder], { env });
    expect(stdout.match(/finished at step 20/g)).toHaveLength(6);
    for (const name of ['apples.png', 'green.png']) {
      const { width, height } = await readImage(path.join(starstack.folder, name));
      expect([width, height]).toEqual([32, 32]);
    }
    for (const stage of ['tokenizer', 'generation', 'instruction']) {
      expect(await readdir(path.join(starstack.folder, stage, 'previews'))).toEqual(['step-00000020.png']);
    }
  }, 180_000);
});
