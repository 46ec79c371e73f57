/** The model of the package as it ships: by its name, it answers, draws and edits. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nanoWorld } from '../src/data/world/profile.ts';
import { askQuestion, type QuestionKind } from '../src/data/world/questions.ts';
import { readPlan } from '../src/data/world/scene-plan.ts';
import { World } from '../src/data/world/world.ts';
import { Checker, checkerThreshold, type FoundObject } from '../src/evaluation/checker/checker.ts';
import { Star } from '../src/index.ts';

let star: Star;
let world: World;

beforeAll(async () => {
  star = await Star.load('nano', { device: 'cpu', threads: 2 });
  world = await World.open(nanoWorld);
}, 60_000);
afterAll(() => star.dispose());

describe('nano', () => {
  it('answers questions about pictures that it has not seen', async () => {
    const kinds: readonly QuestionKind[] = ['existence', 'count', 'colour', 'relation'];
    const greedy = { temperature: 0, repetitionPenalty: 1, maxNewTokens: 8 };
    let [right, asked] = [0, 0];
    for (let index = 0; asked < 24; index++) {
      const scene = world.scene(2024, index, 'any');
      const question = askQuestion(scene, index, kinds[index % kinds.length]!, { classes: nanoWorld.classes });
      if (!question) continue;
      const { answer } = await star.understand(world.render(scene, 64), question.question, greedy);
      asked++;
      if ([question.answer, ...(question.accepted ?? [])].includes(answer.trim())) right++;
    }
    expect(right).toBeGreaterThanOrEqual(20);
  }, 60_000);

  it('thinks before it draws: a plan that says what was asked', async () => {
    const { images, thought } = await star.generate('a photo of a blue cup and a red kite', { seed: 11 });
    const plan = readPlan(thought!, 8);
    const things = plan.scene.objects.map(({ class: name, colour }) => `${colour} ${name}`);
    expect(things.sort()).toEqual(['blue cup', 'red kite']);
    expect(images[0]!.recipe).toMatchObject({ thought, settings: { reasoning: true } });
    const plain = await star.generate('a photo of a cup', { seed: 11, reasoning: false });
    expect(plain.thought).toBeUndefined();
  }, 60_000);

  it('draws what it is told', async () => {
    const checker = new Checker(world.atlas, nanoWorld);
    // Each picture is a draw: nine in ten are as asked, and one in thirty would be by chance.
    const asked = { 'a photo of an apple': 'apple', 'a photo of a dog': 'dog', 'a photo of a car': 'car' };
    let drawn = 0;
    for (const [prompt, name] of Object.entries(asked)) {
      const { images } = await star.generate(prompt, { seed: 40, count: 5 });
      expect(images.every(({ width, height }) => width === 64 && height === 64)).toBe(true);
      const shows = ({ confidence, class: found }: FoundObject) => confidence > checkerThreshold && found === name;
      drawn += images.filter((image) => checker.read(image).objects.some(shows)).length;
    }
    expect(drawn).toBeGreaterThanOrEqual(10);
  }, 60_000);

  it('edits as it is told', async () => {
    const checker = new Checker(world.atlas, nanoWorld);
    const { images } = await star.generate('a photo of a red apple', { seed: 70, count: 5 });
    const colours = ['green', 'blue', 'yellow', 'purple', 'black'];
    let done = 0;
    for (const [index, colour] of colours.entries()) {
      const edited = await star.edit(images[index]!, `make the apple ${colour}`, { seed: 1 });
      const { objects } = checker.read(edited.images[0]!);
      if (objects.length === 1 && objects[0]!.class === 'apple' && objects[0]!.colour === colour) done++;
    }
    expect(done).toBeGreaterThanOrEqual(3);
  }, 60_000);
});
