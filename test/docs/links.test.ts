/** Links, pictures and included files of the pages lead somewhere. `npm run docs` refuses dead links too, those to made pages with them. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { pages, readPage, repository } from './pages.ts';

/** The text of a page without what stands in code. */
function proseOf(page: string): string {
  return readPage(page)
    .replace(/^```.*?^```$/gms, '')
    .replace(/`[^`\n]*`/g, '');
}

/** Names of the headings as GitHub and VitePress make them. */
function anchorsOf(page: string): Set<string> {
  const text = readPage(page).replace(/^```.*?^```$/gms, '');
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s-]/gu, '')
        .trim()
        .replace(/\s+/g, '-'),
    ),
  );
}

const targetsOf = (page: string): string[] => {
  const prose = proseOf(page);
  const patterns = [/\]\(([^)\s]+)\)/g, /src="([^"]+)"/g, /^<<< (\S+)$/gm, /<!--@include: (\S+)-->/g];
  return patterns.flatMap((pattern) => [...prose.matchAll(pattern)].map(([, target]) => target!));
};

test.each(pages)('%s', (page) => {
  const dead = targetsOf(page).filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [file, anchor] = target.split('#') as [string, string?];
    const found = file === '' ? page : path.join(path.dirname(page), file);
    if (!existsSync(path.join(repository, found))) return true;
    return anchor !== undefined && !anchorsOf(found).has(anchor);
  });
  expect(dead).toEqual([]);
});

test('every page but the insides is in the menu', () => {
  const menu = readPage('docs/.vitepress/config.ts');
  const missing = pages.filter((page) => {
    const [, name] = /^docs\/([^/]+)\.md$/.exec(page) ?? [];
    return name !== undefined && !menu.includes(`link: '/${name === 'index' ? '' : name}'`);
  });
  expect(missing).toEqual([]);
});
