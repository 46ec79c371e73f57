/**
 * Writes `assets/world/held-out.json`: every (class, colour), (class, relation, class) and (class, count) that GenEval's
 * prompts ask for and the world can show. Training never sees them, so that those prompts test new combinations.
 *
 *   npx tsx scripts/build-held-out.ts PATH/TO/evaluation_metadata.jsonl
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { colours } from '../src/data/world/scene.ts';
import { isWorldClass, worldClasses } from '../src/data/world/vocabulary.ts';

interface Clause {
  readonly class: string;
  readonly count: number;
  readonly color?: string;
  /** This object's relation to the clause of this number. */
  readonly position?: readonly [relation: string, reference: number];
}

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('give the path of evaluation_metadata.jsonl of djghosh13/geneval');
const prompts = readFileSync(path, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as { readonly tag: string; readonly include: readonly Clause[] })
  .filter(({ include }) => include.every((clause) => isWorldClass(clause.class)));

const coloursOf = new Map<string, Set<string>>();
const countsOf = new Map<string, Set<number>>();
const triples = new Set<string>();
const add = <T>(sets: Map<string, Set<T>>, key: string, value: T) =>
  sets.set(key, (sets.get(key) ?? new Set()).add(value));
for (const { tag, include } of prompts) {
  for (const clause of include) {
    if (clause.color !== undefined) add(coloursOf, clause.class, clause.color);
    if (tag === 'counting') add(countsOf, clause.class, clause.count);
    if (clause.position !== undefined) {
      const [relation, reference] = clause.position;
      triples.add(JSON.stringify([clause.class, relation, include[reference]!.class]));
    }
  }
}
const names = worldClasses.map(({ name }) => name);
const heldOut = {
  source: `github.com/djghosh13/geneval, prompts/evaluation_metadata.jsonl: ${prompts.length} prompts`,
  colours: Object.fromEntries(
    names
      .filter((name) => coloursOf.has(name))
      .map((name) => [name, colours.filter((colour) => coloursOf.get(name)!.has(colour))]),
  ),
  counts: Object.fromEntries(
    names.filter((name) => countsOf.has(name)).map((name) => [name, [...countsOf.get(name)!].sort((a, b) => a - b)]),
  ),
  relations: [...triples].sort().map((triple) => JSON.parse(triple) as string[]),
};
// One entry a line: readable, and small differences show.
const lines = (record: Record<string, unknown>) =>
  Object.entries(record).map(([key, value]) => `    ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
const text = `{
  "source": ${JSON.stringify(heldOut.source)},
  "colours": {
${lines(heldOut.colours).join(',\n')}
  },
  "counts": {
${lines(heldOut.counts).join(',\n')}
  },
  "relations": [
${heldOut.relations.map((triple) => `    ${JSON.stringify(triple)}`).join(',\n')}
  ]
}
`;
writeFileSync(new URL('../assets/world/held-out.json', import.meta.url), text);
const size = (record: Record<string, readonly unknown[]>) =>
  Object.values(record).reduce((sum, list) => sum + list.length, 0);
console.log(
  `${prompts.length} prompts: ${size(heldOut.colours)} (class, colour), ${heldOut.relations.length} (class, relation, ` +
    `class), ${size(heldOut.counts)} (class, count)`,
);
