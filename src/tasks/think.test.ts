/** Thoughts before pictures: of their own for each picture, kept in its recipe, and apart from the picture's chances. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { referencePath } from '../../test/reference-vectors.ts';
import { AbortedError } from './error.ts';
import type { PictureEvent, PictureResult } from './events.ts';
import { Star } from './star.ts';

let star: Star;
beforeAll(async () => {
  star = await Star.load(referencePath('tiny-a', '.'), { device: 'cpu', threads: 1 });
}, 60_000);
afterAll(() => star.dispose());

const source = referencePath('tiny-a', 'expected/image.png');
const thinking = { reasoning: true, reasoningTemperature: 1, reasoningMaxTokens: 6, temperature: 1, seed: 5 } as const;

async function collect(events: AsyncGenerator<PictureEvent, PictureResult>, heed: (event: PictureEvent) => void) {
  for (;;) {
    const step = await events.next();
    if (step.done) return step.value;
    heed(step.value);
  }
}

describe('a thought that is drawn', () => {
  test.each(['generate', 'edit'] as const)('%s: each picture has its own, as alone with its seed', async (task) => {
    const draw = (options: object) =>
      task === 'generate' ? star.generate('a cat', options) : star.edit(source, 'make it green', options);
    const both = await draw({ ...thinking, count: 2 });
    expect(both).toMatchObject({ seed: 5, finishReason: 'complete', thought: both.images[0]!.recipe.thought });
    for (const [index, seed] of [5, 6].entries()) {
      const alone = await draw({ ...thinking, seed });
      expect(both.images[index]!.tokens).toEqual(alone.images[0]!.tokens);
      expect(both.images[index]!.recipe).toEqual(alone.images[0]!.recipe);
      expect(alone.images[0]!.recipe.settings).toMatchObject({ reasoning: true, reasoningTemperature: 1 });
    }
    const [first, second] = both.images.map(({ recipe }) => recipe.thought);
    expect(first).not.toBe('');
    expect(first).not.toBe(second);
    expect(Object.keys(both.timings)).toContain('reasoning');
    // The model is random: its thoughts have no end.
    expect(both.warnings.map(({ code }) => code)).toEqual(['thought_cut', 'thought_cut']);
  });

  test('a greedy one is shared, and the same as before', async () => {
    const both = await star.generate('a cat', { ...thinking, reasoningTemperature: 0, count: 2 });
    const [first, second] = both.images.map(({ recipe }) => recipe.thought);
    expect(first).toBe(second);
    const again = await star.generate('a cat', { ...thinking, reasoningTemperature: 0, seed: 9 });
    expect(again.thought).toBe(first);
  });

  test('events: one start, progress that only grows, every picture with its number', async () => {
    const seen: PictureEvent[] = [];
    const options = { ...thinking, count: 3, preview: 'linear' } as const;
    const result = await collect(star.generate.stream('a cat', options), (event) => seen.push(event));
    const of = <Type extends PictureEvent['type']>(type: Type) =>
      seen.filter((event): event is Extract<PictureEvent, { type: Type }> => event.type === type);
    expect(of('picture-start')).toMatchObject([{ count: 3, seed: 5 }]);
    expect(of('reasoning-end').map(({ thought }) => thought)).toEqual(
      result.images.map(({ recipe }) => recipe.thought),
    );
    const done = of('picture-progress').map(({ doneTokens }) => doneTokens);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done.at(-1)).toBe(of('picture-start')[0]!.totalTokens);
    expect(of('preview-available').every(({ previews }) => previews.length === 3)).toBe(true);
    expect(of('image-end').map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(of('picture-end')).toEqual([{ type: 'picture-end', result }]);
  });

  test('an abort keeps the pictures that are done, where it is to', async () => {
    const controller = new AbortController();
    const options = { ...thinking, count: 3, signal: controller.signal } as const;
    const stop = (event: PictureEvent) => {
      if (event.type === 'image-end' && event.index === 0) controller.abort();
    };
    const kept = await collect(star.generate.stream('a cat', { ...options, onAbort: 'keep' }), stop);
    expect(kept.finishReason).toBe('aborted');
    expect(kept.images.map(({ complete }) => complete)).toEqual([true]);
    await expect(star.generate('a cat', options)).rejects.toThrow(AbortedError);
  });
});
