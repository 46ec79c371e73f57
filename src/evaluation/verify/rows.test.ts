import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writeSafetensors } from '../../checkpoint/safetensors-writer.ts';
import { ExpectedFile } from './expected.ts';
import { RowSheet } from './rows.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'starstack-rows-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

await writeSafetensors(path.join(folder, 'file.safetensors'), [
  { name: 'numbers', dtype: 'float32', shape: [1, 3], data: Float32Array.of(1, -4, 2) },
  { name: 'half', dtype: 'bfloat16', shape: [2], data: Uint16Array.of(0x3f80, 0xc000) },
  { name: 'zeros', dtype: 'float32', shape: [2], data: new Float32Array(2) },
  { name: 'ids', dtype: 'int64', shape: [3], data: BigInt64Array.of(5n, 6n, 7n) },
]);

const sheetOf = async () => new RowSheet(await ExpectedFile.read(folder, 'file'));
const values = (...data: number[]) => ({ shape: [data.length], data });

it('measures the largest error, absolute or by the largest entry', async () => {
  const sheet = await sheetOf();
  sheet.numbers('near', values(1.5, -4, 2), 'numbers', { tolerance: 0.5 });
  sheet.numbers('far', values(1.5, -4, 2), 'numbers', { tolerance: 0.4 });
  sheet.numbers('relative', values(1.5, -4, 2), 'numbers', { tolerance: 0.2, measure: 'relative' });
  sheet.numbers('nothing to be relative to', values(1e-9, 0), 'zeros', { tolerance: 0.2, measure: 'relative' });
  sheet.numbers('16 bits', values(1, -2), 'half', { tolerance: 0 });
  expect(sheet.rows.map(({ status, error }) => [status, error])).toEqual([
    ['pass', 0.5],
    ['fail', 0.5],
    ['pass', 0.125],
    ['fail', Number.POSITIVE_INFINITY],
    ['pass', 0],
  ]);
  expect(sheet.rows[1]!.note).toBe('largest error at 0: 1.5, expected 1');
});

it('fails a NaN, also where good numbers follow it', async () => {
  const sheet = await sheetOf();
  sheet.numbers('broken', values(1, Number.NaN, 2), 'numbers');
  expect(sheet.rows).toMatchObject([{ status: 'fail', note: 'not comparable at 1: NaN, expected -4' }]);
});

it('fails other shapes, other lengths and missing outputs', async () => {
  const sheet = await sheetOf();
  sheet.numbers('shape', { shape: [3, 2], data: new Float32Array(6) }, 'numbers');
  sheet.numbers('output', undefined, 'numbers');
  sheet.tokens('shorter', [5, 6], 'ids');
  sheet.tokens('longer', [5, 6, 7, 8], 'ids');
  sheet.tokens('equal', [5, 6, 7], 'ids');
  expect(sheet.rows.map(({ status, note }) => `${status}: ${note}`)).toEqual([
    'fail: shape [3,2], expected [1,3]',
    'fail: internal: the program gave no such output',
    'fail: first difference at 2: nothing, expected 7',
    'fail: first difference at 3: 8, expected nothing',
    'pass: 3 equal',
  ]);
});

it('shows where texts part', async () => {
  const sheet = await sheetOf();
  sheet.text('cut', 'a red app', 'a red apple');
  sheet.text('same', 'a red apple', 'a red apple');
  expect(sheet.rows.map(({ note }) => note)).toEqual([
    'first difference at 9: "a red app", expected "a red apple"',
    'equal',
  ]);
});

it('goes on after a part that breaks off, which may have left tensors unread', async () => {
  const sheet = await sheetOf();
  await sheet.part('part', () => {
    throw new Error('no picture');
  });
  sheet.numbers('numbers', values(1, -4, 2), 'numbers');
  sheet.numbers('gone', values(1), 'none');
  sheet.close();
  expect(sheet.rows.map(({ what, status }) => [what, status])).toEqual([
    ['part', 'fail'],
    ['numbers', 'pass'],
    ['gone', 'fail'],
  ]);
  expect(sheet.rows[0]!.note).toBe('no picture');
  expect(sheet.rows[2]!.note).toMatch(/there is no tensor none$/);
});

it('lists the tensors that nobody read', async () => {
  const sheet = await sheetOf();
  sheet.numbers('numbers', values(1, -4, 2), 'numbers');
  sheet.close();
  const unread = sheet.rows.slice(1);
  expect(unread.map(({ what }) => what).sort()).toEqual(['half', 'ids', 'zeros']);
  expect(unread.every(({ status }) => status === 'not supported')).toBe(true);
});
