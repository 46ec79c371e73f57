/** What the stages of pictures are told of the closed world's scenes. */
import { beforeAll, describe, expect, test } from 'vitest';
import { nanoWorld } from '../../data/world/profile.ts';
import { planText, readPlan } from '../../data/world/scene-plan.ts';
import { World } from '../../data/world/world.ts';
import { type CaptionMix, worldCaption, worldCaptionedPictures, worldInstructions } from './world-data.ts';

let world: World;
beforeAll(async () => {
  world = await World.open(nanoWorld);
});

const made = (mix: Partial<CaptionMix>, fits: (text: string) => boolean = () => true) => ({
  seed: 4,
  size: 64,
  grid: 8,
  mix: { geneval: 0, free: 0, dense: 0, plan: 0, ...mix },
  fits,
});
const scenes = () => Array.from({ length: 200 }, (_, index) => [world.scene(4, index, 'exclude'), index] as const);

describe('captions', () => {
  test('GenEval’s only where its grammar can name all things', () => {
    for (const [scene, index] of scenes()) {
      const caption = worldCaption(scene, index, made({ geneval: 1 }));
      for (const { class: name } of scene.objects) expect(caption.toLowerCase()).toContain(name.slice(0, -1));
    }
  });

  test('plans say the scene, its things in an order that captions choose', () => {
    const orders = new Set<string>();
    for (const [scene, index] of scenes()) {
      const plan = worldCaption(scene, index, made({ plan: 1 }));
      const inRows = planText({ scene }, { grid: 8 });
      expect(planText(readPlan(plan, 8), { grid: 8 })).toBe(inRows);
      orders.add(plan === inRows ? 'rows' : 'captions');
    }
    expect([...orders].sort()).toEqual(['captions', 'rows']);
  });

  test('one that is too long gives way to GenEval’s', () => {
    const [scene, index] = scenes()[0]!;
    expect(
      worldCaption(
        scene,
        index,
        made({ plan: 1 }, () => false),
      ),
    ).toMatch(/^a photo of /);
  });
});

test('previews show plans where plans are learned', () => {
  const prompts = ['a photo of a dog', 'a photo of two cats'];
  expect(worldCaptionedPictures(world, made({ free: 1 }), 4, prompts).prompts).toEqual(prompts);
  const { prompts: planned } = worldCaptionedPictures(world, made({ free: 1, plan: 1 }), 4, prompts);
  expect(planned.map((text) => readPlan(text, 8).scene.objects.length > 0)).toEqual([true, true]);
});

test('edits are told by the plan of what they lead to, as often as asked', async () => {
  const told = async (plans: number) => {
    const settings = { batch: 4, edits: 4, plans, heldOut: 4, fits: () => true };
    const stream = await worldInstructions(world, made({ free: 1 }), settings).open(undefined);
    const samples = (await stream.next(40)) as { readonly instruction: string }[];
    const list = samples.map(({ instruction }) => instruction);
    return list.filter((text) => /, on |^on /.test(text)).length / list.length;
  };
  expect(await told(0)).toBe(0);
  expect(await told(1)).toBe(1);
  const half = await told(0.5);
  expect(half).toBeGreaterThan(0.2);
  expect(half).toBeLessThan(0.8);
});

test('edits that never fit are refused, and not looked for without end', () => {
  const mix = { batch: 2, edits: 1, plans: 0, heldOut: 2, fits: () => false };
  expect(() => worldInstructions(world, made({ geneval: 1 }), mix)).toThrow(/no edit among 400 scenes.*promptTokens/);
});
