import { describe, expect, it } from 'vitest';
import { exampleScene } from './example-scenes.ts';
import { factsAbout } from './knowledge.ts';
import { layoutText } from './layout.ts';
import { textTask, textTaskKinds } from './text-tasks.ts';
import { worldClasses } from './vocabulary.ts';

describe('knowledge', () => {
  it('describes every class at least three times to learn and once to test, each fact once', () => {
    const all = worldClasses.flatMap(({ name }) => {
      const [train, test] = [factsAbout(name, 'train'), factsAbout(name, 'test')];
      expect(train.length).toBeGreaterThanOrEqual(3);
      expect(test.length).toBeGreaterThanOrEqual(1);
      return [...train, ...test];
    });
    expect(new Set(all).size).toBe(all.length);
  });

  it('never names the class', () => {
    for (const { name, plural } of worldClasses) {
      for (const fact of [...factsAbout(name, 'train'), ...factsAbout(name, 'test')]) {
        expect(` ${fact} `).not.toMatch(new RegExp(`\\W(${name}|${plural})\\W`));
      }
    }
  });

  it('refuses a class that the world does not have', () => {
    expect(() => factsAbout('fork', 'train')).toThrowError(expect.objectContaining({ code: 'data_not_found' }));
  });
});

describe('text tasks', () => {
  it.each(textTaskKinds)('%s: the same for the same arguments, and asked of most scenes', (kind) => {
    let made = 0;
    for (let seed = 0; seed < 300; seed++) {
      const task = textTask(exampleScene(seed), seed, kind);
      expect(task).toEqual(textTask(exampleScene(seed), seed, kind));
      if (!task) continue;
      made += 1;
      expect(task.answer.length).toBeGreaterThan(0);
    }
    expect(made).toBeGreaterThan(200);
  });

  it('layout: the answer follows from the words of the caption alone', () => {
    for (let seed = 0; seed < 500; seed++) {
      const scene = exampleScene(seed);
      const task = textTask(scene, seed, 'layout');
      if (!task) continue;
      expect(task.answer).toBe(layoutText(scene, 4));
      const cells: string[] = new Array(16).fill('empty');
      for (const [, thing, top, bottom = top, left, right = left] of task.prompt.matchAll(
        /an? (?:pair of )?([a-z ]+?) in rows? (\d)(?: to (\d))?, columns? (\d)(?: to (\d))?/g,
      )) {
        const noun = worldClasses
          .map(({ name }) => name)
          .filter((name) => thing!.endsWith(name))
          .sort((a, b) => b.length - a.length)[0]!;
        for (let row = Number(top); row <= Number(bottom); row++) {
          for (let column = Number(left); column <= Number(right); column++) {
            cells[(row - 1) * 4 + column - 1] = noun.replace(' ', '-');
          }
        }
      }
      expect(task.answer.split(/\s/), task.prompt).toEqual(cells);
    }
  });

  it('knowledge asks the facts of its split', () => {
    const task = textTask(exampleScene(1), 4, 'knowledge', { split: 'test' })!;
    const [fact] = factsAbout(task.answer, 'test');
    expect(task.prompt.toLowerCase()).toContain(fact!.toLowerCase());
  });
});
