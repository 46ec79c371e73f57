import { expect, test } from 'vitest';
import { nanoWorld } from '../../data/world/profile.ts';
import { World } from '../../data/world/world.ts';
import { Checker } from '../checker/checker.ts';
import { evaluateImgEdit, sampleEditItems, scoreEdit } from './emoji-imgedit.ts';

test('the target gets 5, 5, 5 and the source 1 for compliance, in every type', async () => {
  const world = await World.open(nanoWorld);
  const checker = new Checker(world.atlas, nanoWorld);
  const items = sampleEditItems(world, { size: 64, seed: 3, perType: 3 });
  expect(items).toHaveLength(24);
  for (const item of items) {
    const told = `${item.edit.instruction} ${JSON.stringify(item.edit.operations)}`;
    expect(scoreEdit(item, item.target, checker, world), told).toEqual({ compliance: 5, naturalness: 5, detail: 5 });
    const copied = scoreEdit(item, item.source, checker, world);
    expect(copied.compliance, told).toBe(1);
    expect(copied.detail, told).toBeGreaterThanOrEqual(1);
  }
  const copy = await evaluateImgEdit({
    items: items.slice(0, 6),
    editor: async (source) => source,
    checker,
    world,
    source: { name: 'copies', sampler: {} },
    seed: 3,
  });
  const [overall] = copy.report.scores;
  expect(overall!.estimate.value).toBe(1);
  expect(copy.report.tables[0]!.rows.map(([name]) => name)).toEqual([
    'the evaluated',
    'copy the source',
    'the target itself',
    'a random scene',
  ]);
  const random = copy.report.tables[0]!.rows.at(-1)!;
  expect(random[1]).toBeLessThan(3);
});
