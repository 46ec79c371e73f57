/** The site of `docs/`: `npm run docs` builds `dist/docs`, `npm run docs:dev` serves it. A dead link fails the build. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitepress';

const docs = fileURLToPath(new URL('..', import.meta.url));

/** The first heading of a page. */
function titleOf(file: string): string {
  return /^# (.*)$/m.exec(readFileSync(`${docs}${file}`, 'utf8'))![1]!;
}

const decisions = readdirSync(`${docs}decisions`).sort();

export default defineConfig({
  title: 'Starstack',
  description: 'One model that understands, draws and edits pictures, in TypeScript.',
  outDir: '../dist/docs',
  cacheDir: '../node_modules/.cache/vitepress',
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Start', link: '/' },
      { text: 'Command line', link: '/cli' },
      { text: 'Library', link: '/library' },
      { text: 'API', link: '/reference/api/' },
    ],
    sidebar: [
      {
        text: 'Using it',
        items: [
          { text: 'Start', link: '/' },
          { text: 'Command line', link: '/cli' },
          { text: 'Library', link: '/library' },
          { text: 'Server', link: '/server' },
          { text: 'Browser', link: '/browser' },
          { text: 'The nano model', link: '/nano' },
        ],
      },
      {
        text: 'Models',
        items: [
          { text: 'Checkpoints', link: '/checkpoints' },
          { text: 'Training', link: '/training' },
          { text: 'Evaluation', link: '/evaluation' },
        ],
      },
      {
        text: 'Reference',
        items: [
          { text: 'API', link: '/reference/api/' },
          { text: 'Options of the tasks', link: '/reference/options' },
          { text: 'Commands', link: '/reference/commands' },
          { text: 'Keys of a recipe', link: '/reference/recipe' },
        ],
      },
      {
        text: 'The project',
        items: [
          { text: 'What works', link: '/FEATURES' },
          { text: 'How it is built', link: '/ARCHITECTURE' },
          { text: 'Log', link: '/LOG' },
          {
            text: 'Decisions',
            collapsed: true,
            items: decisions.map((file) => ({
              text: titleOf(`decisions/${file}`),
              link: `/decisions/${file.replace(/\.md$/, '')}`,
            })),
          },
        ],
      },
    ],
  },
});
