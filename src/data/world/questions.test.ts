import { describe, expect, it } from 'vitest';
import { exampleScene } from './example-scenes.ts';
import { relationsBetween } from './facts.ts';
import { ownColourOf } from './own-colours.ts';
import { askQuestion, negativeKinds, type Question, questionKinds } from './questions.ts';
import { colours, type Scene } from './scene.ts';
import { pluralOf, worldClasses } from './vocabulary.ts';

const names = worldClasses.map(({ name }) => name).sort((a, b) => b.length - a.length);

const scenes = Array.from({ length: 8000 }, (_, seed) => exampleScene(seed));

function asked(kind: (typeof questionKinds)[number], count = 3000): [Scene, Question][] {
  return scenes.slice(0, count).flatMap((scene, seed) => {
    const question = askQuestion(scene, seed, kind);
    return question ? [[scene, question] as [Scene, Question]] : [];
  });
}

function of(scene: Scene, name: string) {
  return scene.objects.filter((object) => object.class === name);
}

function nameIn(text: string): string {
  return names.find((name) => text.endsWith(name) || text.endsWith(pluralOf(name)))!;
}

describe('questions', () => {
  it('existence: right, and balanced within each class', () => {
    const all = asked('existence', 8000);
    let guessed = 0;
    const byClass = new Map<string, number[]>();
    for (const [scene, { question, answer }] of all) {
      const name = nameIn(question.replace(/ in the (image|picture)\?$/, '').replace(/\?$/, ''));
      expect(answer).toBe(of(scene, name).length > 0 ? 'yes' : 'no');
      byClass.set(name, [...(byClass.get(name) ?? []), answer === 'yes' ? 1 : 0]);
    }
    // Who knows how often each class is there, but not the picture, answers by the class's majority.
    for (const answers of byClass.values()) {
      const yes = answers.reduce((sum, value) => sum + value, 0);
      guessed += Math.max(yes, answers.length - yes);
    }
    expect(byClass.size).toBe(worldClasses.length);
    expect(guessed / all.length).toBeLessThan(0.56);
  });

  it.each(negativeKinds)('existence with %s negatives asks as often for what is there', (negatives) => {
    const popularity = ['dog', 'cat', 'person', 'car', 'apple', 'book', 'chair'];
    const answers = Array.from(
      { length: 2000 },
      (_, seed) => askQuestion(scenes[seed]!, seed, 'existence', { negatives, popularity })!.answer,
    );
    expect(answers.filter((answer) => answer === 'yes').length / 2000).toBeCloseTo(0.5, 1);
  });

  it('yes and no are equally likely in every kind, whatever the form', () => {
    for (const kind of questionKinds) {
      const byForm = new Map<string, string[]>();
      for (const [, { question, answer }] of asked(kind)) {
        if (answer !== 'yes' && answer !== 'no') continue;
        const form = question.split(' ')[0]!;
        byForm.set(form, [...(byForm.get(form) ?? []), answer]);
      }
      for (const [form, answers] of byForm) {
        if (answers.length < 200) continue;
        const yes = answers.filter((answer) => answer === 'yes').length / answers.length;
        expect(Math.abs(yes - 0.5), `${kind} ${form} ${yes}`).toBeLessThan(0.05 + 1 / Math.sqrt(answers.length));
      }
    }
  });

  it('count: the number of the scene', () => {
    for (const [scene, { question, answer }] of asked('count')) {
      const found = /(?:How many|number of|Count the) (.+?)(?: are there.*| are in.*| do you.*)?[.?]$/.exec(
        question,
      )![1]!;
      if (found === 'things' || found === 'objects') expect(answer).toBe(String(scene.objects.length));
      else {
        const total = found.split(' and ').reduce((sum, part) => {
          return sum + of(scene, names.find((name) => pluralOf(name) === part)!).length;
        }, 0);
        expect(Number(answer), question).toBe(total);
      }
    }
  });

  it('colour: that of all the things asked about', () => {
    for (const [scene, { question, answer }] of asked('colour')) {
      const text = question.replace(/(\?| drawn\?)$/, '');
      const yesNo = / (?:of the color )?(\w+)$/.exec(text);
      const isYesNo = answer === 'yes' || answer === 'no';
      const named = isYesNo ? text.slice(0, yesNo!.index) : text.replace(/ (is|are)$/, '');
      const things = of(scene, nameIn(named));
      const found = new Set(things.map(({ colour, style, sprite }) => colour ?? ownColourOf(style, sprite)));
      expect(found.size, question).toBe(1);
      const [colour] = found;
      expect(colours as readonly unknown[]).toContain(colour);
      // That a thing in its own colours has no other could be disputed.
      if (isYesNo) expect(things.every((thing) => thing.colour !== null)).toBe(true);
      if (isYesNo) expect(answer).toBe(yesNo![1] === colour ? 'yes' : 'no');
      else expect(answer).toBe(colour);
    }
  });

  it('relation: right by the rule of GenEval, and only one thing where it asks for a thing', () => {
    let things = 0;
    for (const [scene, { question, answer }] of asked('relation')) {
      const which = /^(?:What|Which thing) is (?:to the )?(left of|right of|above|below) the (.+)\?$/.exec(question);
      const pair = / the (.+?) (?:to the )?(left of|right of|above|below) the (.+)\?$/.exec(question);
      if (which) {
        things += 1;
        const reference = of(scene, which[2]!)[0]!;
        const found = scene.objects.filter(
          (object) =>
            object !== reference && (relationsBetween(object.box, reference.box) as string[]).includes(which[1]!),
        );
        expect(found.map((object) => object.class)).toEqual([answer]);
      } else if (answer === 'yes' || answer === 'no') {
        const [a, b] = [of(scene, pair![1]!), of(scene, pair![3]!)];
        expect([a.length, b.length]).toEqual([1, 1]);
        const holds = (relationsBetween(a[0]!.box, b[0]!.box) as string[]).includes(pair![2]!);
        expect(answer).toBe(holds ? 'yes' : 'no');
      }
    }
    expect(things).toBeGreaterThan(100);
  });

  it('comparison: either of the two is the answer as often', () => {
    const which = asked('comparison').filter(([, { question }]) => /^(Which|What) is/.test(question));
    const firsts = which.filter(([, { question, answer }]) => question.includes(`the ${answer} or`)).length;
    expect(Math.abs(firsts / which.length - 0.5)).toBeLessThan(0.1);
  });

  it('depends on scene, seed and kind alone', () => {
    const scene = exampleScene(5);
    expect(askQuestion(scene, 9)).toEqual(askQuestion(structuredClone(scene), 9));
    expect(askQuestion({ background: { kind: 'plain', colour: 'red' }, objects: [] }, 1, 'place')).toBeNull();
  });
});
