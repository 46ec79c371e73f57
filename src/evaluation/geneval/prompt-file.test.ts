import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type GenevalPrompt, parseGenevalPrompts, readGenevalPrompts, tags } from './prompt-file.ts';

const official = new URL('../../../../shared/benchmarks/geneval/evaluation_metadata.jsonl', import.meta.url).pathname;

describe.skipIf(!existsSync(official))('the official file', () => {
  test('553 prompts, tag by tag, with the counts of positions and numbers', async () => {
    const prompts = await readGenevalPrompts(official);
    const count = (matches: (prompt: GenevalPrompt) => boolean) => prompts.filter(matches).length;
    expect(prompts).toHaveLength(553);
    expect(tags.map((tag) => count((prompt) => prompt.tag === tag))).toEqual([80, 99, 80, 94, 100, 100]);
    const relation = (name: string) =>
      count(({ include }) => include.some(({ position }) => position !== undefined && position[0] === name));
    expect(['below', 'right of', 'above', 'left of'].map(relation)).toEqual([28, 27, 26, 19]);
    const number = (n: number) => count(({ tag, include }) => tag === 'counting' && include[0]!.count === n);
    expect([2, 3, 4].map(number)).toEqual([26, 28, 26]);
  });
});

test('a wrong line is named', () => {
  const good = '{"tag":"single_object","include":[{"class":"dog","count":1}],"prompt":"a photo of a dog"}';
  expect(parseGenevalPrompts(`${good}\n\n${good}\n`, 'f')).toHaveLength(2);
  expect(() => parseGenevalPrompts(`${good}\n{"tag":"single_object"}`, 'f')).toThrow(/f, line 2.*prompt/);
  expect(() => parseGenevalPrompts('{', 'f')).toThrow(/f, line 1/);
  const forward = '{"tag":"position","include":[{"class":"a","count":1,"position":["above",0]}],"prompt":"x"}';
  expect(() => parseGenevalPrompts(forward, 'f')).toThrow(/earlier clause/);
});
