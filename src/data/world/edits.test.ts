import { describe, expect, it } from 'vitest';
import { loadAtlas } from './atlas-files.ts';
import { imageMaps, mapImage, renderTarget } from './edit-target.ts';
import { type Edit, type EditConstraints, editTypes, expressibleEdits, sampleEdit } from './edits.ts';
import { exampleScene } from './example-scenes.ts';
import { boxesOverlap, placeOf, relationsBetween } from './facts.ts';
import { isHeldOut } from './held-out.ts';
import { ownColourOf } from './own-colours.ts';
import { fullWorld, nanoWorld } from './profile.ts';
import { renderLayers } from './render.ts';
import { sampleScene } from './sample.ts';
import { type Scene, sceneSchema } from './scene.ts';

const constraints = { profile: fullWorld, heldOut: 'any' } as const;

/** Edits of one type of many scenes; scenes that allow none are left out. */
function edits(type: (typeof editTypes)[number], count = 400): [Scene, Edit][] {
  return Array.from({ length: count }, (_, seed) => seed).flatMap((seed) => {
    const scene = exampleScene(seed, 6);
    try {
      return [[scene, sampleEdit(scene, seed, type, constraints)] as [Scene, Edit]];
    } catch (error) {
      expect(error).toMatchObject({ code: 'data_exhausted' });
      return [];
    }
  });
}

describe('edits', () => {
  it.each(editTypes)('%s: a valid scene, new boxes on the grid and apart, the same again', (type) => {
    const all = edits(type);
    expect(all.length).toBeGreaterThan(type === 'action' ? 5 : type === 'compose' ? 100 : 250);
    for (const [scene, edit] of all) {
      expect(edit.type).toBe(type);
      sceneSchema.parse(edit.target.scene);
      const old = new Set(scene.objects.map(({ box }) => JSON.stringify(box)));
      const { objects } = edit.target.scene;
      for (const object of objects.filter(({ box }) => !old.has(JSON.stringify(box)))) {
        for (const edge of [object.box.x, object.box.y, object.box.width]) {
          expect(Number.isInteger(edge * fullWorld.grid)).toBe(true);
        }
        expect(objects.every((other) => other === object || !boxesOverlap(object.box, other.box))).toBe(true);
      }
    }
    const [scene] = all[0]!;
    expect(() => sampleEdit(scene, 1, type, constraints)).not.toThrow();
    expect(sampleEdit(scene, 1, type, constraints)).toEqual(sampleEdit(structuredClone(scene), 1, type, constraints));
  });

  it('add: one more thing, which stands where it is asked', () => {
    for (const [scene, { operations, target }] of edits('add')) {
      const [operation] = operations;
      if (operation?.type !== 'add') throw new Error('not an add');
      expect(target.scene.objects.slice(0, -1)).toEqual(scene.objects);
      const added = target.scene.objects.at(-1)!;
      expect([added.class, added.colour]).toEqual([operation.class, operation.colour]);
      if (operation.place) expect(placeOf(added.box)).toBe(operation.place);
      if (!operation.relation) continue;
      const reference = scene.objects[operation.relation.reference]!;
      expect(relationsBetween(added.box, reference.box)).toEqual([operation.relation.relation]);
    }
  });

  it('remove, replace, adjust and action change the named things and nothing else', () => {
    for (const type of ['remove', 'replace', 'adjust', 'action'] as const) {
      for (const [scene, { operations, target }] of edits(type)) {
        const operation = operations[0] as { object?: number; objects?: readonly number[] };
        const named = operation.objects ?? [operation.object!];
        const kept = scene.objects.filter((_, index) => !named.includes(index));
        expect(target.scene.background).toEqual(scene.background);
        if (type === 'remove') expect(target.scene.objects).toEqual(kept);
        else {
          expect(target.scene.objects.filter((_, index) => !named.includes(index))).toEqual(kept);
          for (const index of named) expect(target.scene.objects[index]).not.toEqual(scene.objects[index]);
        }
      }
    }
  });

  it('names a thing so that no other fits', () => {
    for (const [scene, { instruction, operations }] of edits('extract')) {
      const [operation] = operations;
      if (operation?.type !== 'extract') throw new Error('not an extract');
      const { class: name, colour, box } = scene.objects[operation.object]!;
      const same = scene.objects.filter((object) => object.class === name);
      expect(instruction).toContain(name);
      if (same.length === 1) continue;
      const byColour = instruction.includes(`${colour} ${name}`);
      const rest = same.filter((object) =>
        byColour ? object.colour === colour : placeOf(object.box) === placeOf(box),
      );
      expect(rest, instruction).toHaveLength(1);
    }
  });

  it('extract, background, style', () => {
    for (const [scene, { operations, target }] of edits('extract', 50)) {
      expect(target.canvas).toBe('white');
      expect(target.scene.objects).toEqual([scene.objects[(operations[0] as { object: number }).object]]);
    }
    for (const [scene, { target }] of edits('background', 50)) {
      expect(target.scene.objects).toEqual(scene.objects);
      expect(target.scene.background).not.toEqual(scene.background);
    }
    for (const [scene, { target }] of edits('style', 50)) {
      if (target.imageMap) expect(target.scene).toEqual(scene);
      else expect(target.scene.objects.every(({ style }) => style !== scene.objects[0]!.style)).toBe(true);
    }
  });

  it('what it changes shows on the background', () => {
    for (const type of ['add', 'replace', 'adjust', 'background', 'style', 'compose'] as const) {
      for (let seed = 0; seed < 100; seed++) {
        const source = sampleScene(6, seed, fullWorld);
        try {
          const { background, objects } = sampleEdit(source, seed, type, constraints).target.scene;
          const grounds: unknown[] =
            background.kind === 'plain' ? [background.colour] : [background.from, background.to];
          for (const { colour, style, sprite } of objects)
            expect(grounds).not.toContain(colour ?? ownColourOf(style, sprite));
        } catch (error) {
          expect(error).toMatchObject({ code: 'data_exhausted' });
        }
      }
    }
  });

  it('shows no held-out combination unless asked to', () => {
    let shown = 0;
    for (let seed = 0; seed < 300; seed++) {
      // The source shows none, so that only an edit could.
      const source = sampleScene(5, seed, fullWorld);
      const type = (['add', 'replace', 'adjust'] as const)[seed % 3]!;
      const targets = [{}, { heldOut: 'any' }].map((more) => {
        try {
          return sampleEdit(source, seed, type, { profile: fullWorld, ...more } as EditConstraints).target.scene;
        } catch {
          return source;
        }
      });
      expect(isHeldOut(targets[0]!)).toBe(false);
      if (isHeldOut(targets[1]!)) shown += 1;
    }
    expect(shown).toBeGreaterThan(10);
  });

  it('refuses what the profile cannot show, and what the scene cannot', () => {
    expect(expressibleEdits(nanoWorld)).not.toContain('action');
    expect(() => sampleEdit(exampleScene(1), 1, 'action', { profile: nanoWorld })).toThrowError(
      expect.objectContaining({ code: 'data_option_invalid' }),
    );
    const empty: Scene = { background: { kind: 'plain', colour: 'red' }, objects: [] };
    expect(() => sampleEdit(empty, 1, 'remove', constraints)).toThrowError(
      expect.objectContaining({ code: 'data_exhausted' }),
    );
  });

  it('uses ordinary words', () => {
    const words = new Set(
      editTypes.flatMap((type) =>
        edits(type, 300).flatMap(([, edit]) => edit.instruction.toLowerCase().match(/[a-z]+/g) ?? []),
      ),
    );
    console.log(`instructions: ${words.size} distinct words`);
    expect(words.size).toBeLessThan(400);
  });
});

describe('image maps', () => {
  const image = { width: 32, height: 32, data: Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * 37) % 256) };

  it.each(imageMaps)('%s: changes the picture, keeps its size', (map) => {
    const mapped = mapImage(image, map);
    expect(mapped.data).toHaveLength(image.data.length);
    expect(mapped.data).not.toEqual(image.data);
  });

  it('inverts to and fro, and leaves grey grey', () => {
    expect(mapImage(mapImage(image, 'invert'), 'invert').data).toEqual(image.data);
    const grey = mapImage(image, 'greyscale');
    expect(mapImage(grey, 'greyscale').data).toEqual(grey.data);
  });

  it('extract leaves pure white around the thing, and the thing as it was', async () => {
    const atlas = await loadAtlas(['noto']);
    const object = { class: 'dog', sprite: '1f415', style: 'noto', colour: null, z: 0, flip: false } as const;
    const scene: Scene = {
      background: { kind: 'plain', colour: 'white' },
      objects: [{ ...object, box: { x: 0.25, y: 0.25, width: 0.5, height: 0.5 } }],
    };
    const { data } = renderTarget({ scene, canvas: 'white' }, atlas, 64);
    const before = renderTarget({ scene }, atlas, 64).data;
    const { alpha } = renderLayers(scene, atlas, 64)[0]!;
    for (const [pixel, level] of alpha.entries()) {
      const rgb = [...data.slice(pixel * 3, pixel * 3 + 3)];
      if (level === 0) expect(rgb).toEqual([255, 255, 255]);
      if (level === 255) expect(rgb).toEqual([...before.slice(pixel * 3, pixel * 3 + 3)]);
    }
  });

  it('a white canvas bears one thing', () => {
    const scene: Scene = { background: { kind: 'plain', colour: 'white' }, objects: [] };
    expect(() => renderTarget({ scene, canvas: 'white' }, undefined as never, 32)).toThrowError(
      expect.objectContaining({ code: 'data_invalid' }),
    );
  });
});
