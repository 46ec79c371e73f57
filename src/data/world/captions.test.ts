import { describe, expect, it } from 'vitest';
import { captionKinds, describeScene, genevalPlural } from './captions.ts';
import { exampleScene } from './example-scenes.ts';
import { relationsBetween } from './facts.ts';
import { layoutText } from './layout.ts';
import { colours, type Scene } from './scene.ts';
import { pluralOf, worldClasses } from './vocabulary.ts';

const names = worldClasses.map(({ name }) => name);
const numbers = ['two', 'three', 'four', 'five', 'six', 'seven', 'eight'];

function of(scene: Scene, name: string) {
  return scene.objects.filter((object) => object.class === name);
}

/** `a red dog` -> its colour and class; null when it is no such phrase. */
function readNoun(text: string): { name: string; colour: string | null } | null {
  const words = text.replace(/^an? /, '');
  if (names.includes(words)) return { name: words, colour: null };
  const [first = '', ...rest] = words.split(' ');
  const isColoured = (colours as readonly string[]).includes(first) && names.includes(rest.join(' '));
  return isColoured ? { name: rest.join(' '), colour: first } : null;
}

/** An independent reading of GenEval's grammar: whether the caption is true of the scene, and of nothing more. */
function geneval(caption: string, scene: Scene): boolean {
  const body = caption.replace(/^a photo of /, '');
  const [number = '', ...plural] = body.split(' ');
  if (numbers.includes(number)) {
    const name = names.find((each) => genevalPlural(each) === plural.join(' '));
    return name !== undefined && of(scene, name).length === numbers.indexOf(number) + 2;
  }
  const single = (text: string) => {
    const noun = readNoun(text);
    const found = noun ? of(scene, noun.name) : [];
    return noun && found.length === 1 && (!noun.colour || found[0]!.colour === noun.colour) ? found[0]! : null;
  };
  const related = /^(.+) (left of|right of|above|below) (.+)$/.exec(body);
  if (related) {
    const [a, b] = [single(related[1]!), single(related[3]!)];
    return a !== null && b !== null && (relationsBetween(a.box, b.box) as string[]).includes(related[2]!);
  }
  return body.split(' and ').every((part) => single(part) !== null);
}

/** A free caption says every number and every colour right: read word by word, without its grammar. */
function mentions(caption: string, scene: Scene): boolean {
  const text = ` ${caption
    .toLowerCase()
    .replace(/[.,?()]/g, ' ')
    .replace(/\s+/g, ' ')} `;
  return names.every((name) => {
    const count = of(scene, name).length;
    // `hot dog` and `teddy bear` bear another class's name.
    const rest = names
      .filter((other) => other !== name && other.includes(name))
      .reduce((left, other) => left.replaceAll(other, ''), text);
    const forms = new RegExp(`[ ](${name}|${pluralOf(name)})(?=[ ])`);
    // An orange fruit and the orange colour are one word.
    if (name === 'orange') return count === 0 || forms.test(rest);
    return count > 0 === forms.test(rest);
  });
}

describe('captions', () => {
  const scenes = Array.from({ length: 1500 }, (_, seed) => exampleScene(seed));

  it('geneval: every caption can be read back and is true', () => {
    const wrong = scenes
      .map((scene, seed) => [scene, describeScene(scene, seed, 'geneval')] as const)
      .filter(([scene, caption]) => !geneval(caption, scene));
    expect(wrong.map(([, caption]) => caption)).toEqual([]);
  });

  it.each(['free', 'dense'] as const)('%s: names all things of the scene and no others', (kind) => {
    const wrong = scenes
      .map((scene, seed) => [scene, describeScene(scene, seed, kind)] as const)
      .filter(([scene, caption]) => !mentions(caption, scene));
    expect(wrong.map(([, caption]) => caption)).toEqual([]);
  });

  it('says a colour before a noun only where the thing has it', () => {
    for (const [seed, scene] of scenes.entries()) {
      for (const kind of captionKinds) {
        const caption = describeScene(scene, seed, kind).toLowerCase();
        for (const colour of colours) {
          for (const name of names) {
            if (!caption.includes(` ${colour} ${name}`)) continue;
            // `car` also begins `carrot`, and `computer mouse` no class of its own.
            const longer = names.filter((other) => other !== name && other.startsWith(name));
            const holders = [name, ...longer].flatMap((each) => of(scene, each));
            expect(
              holders.some((object) => object.colour === colour),
              caption,
            ).toBe(true);
          }
        }
      }
    }
  });

  it('dense ones have 40 to 80 words, but for crowds', () => {
    const lengths = scenes.map((scene, seed) => describeScene(scene, seed, 'dense').split(/\s+/).length);
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(40);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(80);
  });

  it('depends on scene and seed alone, and varies with the seed', () => {
    const scene = exampleScene(3);
    expect(describeScene(scene, 7, 'free')).toBe(describeScene(structuredClone(scene), 7, 'free'));
    const forms = new Set(Array.from({ length: 200 }, (_, seed) => describeScene(scene, seed, 'free')));
    expect(forms.size).toBeGreaterThan(150);
  });

  it('an empty scene is its background', () => {
    const empty: Scene = { background: { kind: 'plain', colour: 'blue' }, objects: [] };
    for (const kind of captionKinds) expect(describeScene(empty, 1, kind)).toContain('blue');
  });

  it('uses few and ordinary words', () => {
    const words = new Set(
      scenes.flatMap((scene, seed) =>
        captionKinds.flatMap(
          (kind) =>
            describeScene(scene, seed, kind)
              .toLowerCase()
              .match(/[a-z]+/g) ?? [],
        ),
      ),
    );
    console.log(`captions: ${words.size} distinct words`);
    expect(words.size).toBeLessThan(400);
  });
});

describe('layoutText', () => {
  const thing = { sprite: '26bd', style: 'noto', z: 0, flip: false } as const;
  const scene: Scene = {
    background: { kind: 'gradient', from: 'red', to: 'blue', angle: 0 },
    objects: [
      { ...thing, class: 'sports ball', colour: 'green', box: { x: 0, y: 0, width: 0.5, height: 0.5 } },
      { ...thing, class: 'dog', colour: null, box: { x: 0.8, y: 0.8, width: 0.1, height: 0.1 } },
    ],
  };

  it('is one word a cell, row by row, where a thing covers half of it', () => {
    expect(layoutText(scene, 3)).toBe('sports-ball sports-ball empty\nsports-ball empty empty\nempty empty dog');
    expect(layoutText(scene, 2, { colours: true })).toBe('green-sports-ball red-ground\nblue-ground dog');
  });

  it('has grid times grid words for every scene', () => {
    for (let seed = 0; seed < 100; seed++) {
      const lines = layoutText(exampleScene(seed), 4).split('\n');
      expect(lines.map((line) => line.split(' ').length)).toEqual([4, 4, 4, 4]);
    }
  });
});
