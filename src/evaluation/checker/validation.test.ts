import { expect, test } from 'vitest';
import { nanoWorld } from '../../data/world/profile.ts';
import { World } from '../../data/world/world.ts';
import { generatePrompts } from '../geneval/generated-prompts.ts';
import { formatTable } from '../report.ts';
import { Checker } from './checker.ts';
import { blurAndNoiseDegradation, noDegradation } from './degrade.ts';
import { validateChecker, validationTable } from './validation.ts';

test('the checker passes right pictures and none with a planted error, sharp and blurred', async () => {
  const world = await World.open(nanoWorld);
  const rows = await validateChecker({
    checker: new Checker(world.atlas, nanoWorld),
    world,
    prompts: generatePrompts(nanoWorld, { seed: 77, perTag: 2, split: 'any' }),
    size: 64,
    seed: 77,
    degradations: [noDegradation, blurAndNoiseDegradation],
  });
  const row = (input: string) => rows.find((each) => each.input === input)!;
  expect(row('renders of the prompts')).toMatchObject({ pictures: 12, failures: [] });
  expect(row('renders of the prompts').passed['blur+noise']).toBeGreaterThan(0.9);
  expect(row('the same, prompts shuffled').passed.exact).toBeLessThan(0.2);
  const planted = rows.filter(({ input }) => input.startsWith('planted'));
  expect(planted).toHaveLength(7);
  for (const { passed } of [...planted, row('blank')]) expect(passed).toEqual({ exact: 0, 'blur+noise': 0 });
  expect(formatTable(validationTable(rows))).toContain('planted: one too many');
});
