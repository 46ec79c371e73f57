/** Values of a stage that contradict each other are refused with the recipe, before anything is read or trained. */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseChange, readRecipe } from '../recipe.ts';
import { trainingRecipeSchema } from './recipe.ts';

const file = fileURLToPath(new URL('../../../recipes/nano.yaml', import.meta.url));
const folder = '{ kind: folder, folder: pictures }';
const data = `data={ train: ${folder}, heldOut: ${folder} }`;
const pairs = '{ kind: jsonl, file: pairs.jsonl }';
const editData = `editData={ train: ${pairs}, heldOut: ${pairs} }`;

const read = (stage: string, changes: readonly string[]) =>
  readRecipe(
    file,
    trainingRecipeSchema,
    changes.map((change) => parseChange(`stages.${stage}.${change}`)),
  );

describe('a recipe is refused', () => {
  test.each([
    ['alignment', ['edits=17'], 'edits: expected 0 to the batch, 12, got 17'],
    ['alignment', ['edits=0', 'misreading=0'], 'plans: expected 0 where edits is 0: plans tell edits, got 0.9'],
    [
      'alignment',
      ['edits=0', 'plans=0'],
      'misreading: expected 0 where edits is 0: codes of edits are misread, got 0.3',
    ],
    [
      'alignment',
      ['edits=0', 'plans=0', 'misreading=0', editData],
      'edits: expected at least 1 where there is editData, got 0',
    ],
    ['alignment', ['plans=0', data], 'editData: is missing: expected both data and editData, or neither'],
    ['alignment', ['plans=0', editData], 'data: is missing: expected both data and editData, or neither'],
    ['alignment', [data, editData], 'plans: expected 0 with data of your own: plans tell edits of the closed world'],
    ['instruction', ['edits=13'], 'edits: expected 1 to the batch, 12, got 13'],
    ['instruction', ['plans=0', 'wordWeight=0', data], 'editData: is missing: expected both data and editData'],
    ['instruction', ['plans=0', data, editData], 'wordWeight: expected 0 with data of your own: what stands where'],
    ['generation', [data], 'wordWeight: expected 0 with data of your own: what stands where'],
  ])('stage %s with %j', async (stage, changes, message) => {
    await expect(read(stage, changes)).rejects.toThrow(`stages.${stage}.${message}`);
  });

  test('and taken where they go together', async () => {
    const { stages } = await read('alignment', ['edits=0', 'plans=0', 'misreading=0']);
    expect(stages.alignment).toMatchObject({ edits: 0, plans: 0 });
    await read('alignment', ['plans=0', data, editData]);
    await read('instruction', ['plans=0', 'wordWeight=0', data, editData]);
  });
});
