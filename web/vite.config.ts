/**
 * Builds the studio: `npm run build` into `dist/web`, beside the compiled library, for the pages of `starstack serve`;
 * `npm run build:web` (mode `site`) into `dist/site`, with the nano model and all that runs it in the browser.
 */
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, mergeConfig, type UserConfig } from 'vite';
import { studioHeaders } from '../src/server/studio-headers.ts';
import { siteOptions } from './site.ts';

const studio: UserConfig = {
  plugins: [svelte()],
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    // The page's policy allows no `data:` scripts or styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // For `npx vite web`: a page that reloads itself, in front of `starstack serve`.
  server: {
    proxy: Object.fromEntries(['/v1', '/readyz', '/training'].map((route) => [route, 'http://127.0.0.1:8080'])),
  },
  logLevel: 'warn',
};

export default defineConfig(({ mode }) =>
  mode === 'site'
    ? mergeConfig(studio, mergeConfig(siteOptions('models/nano', studioHeaders), { build: { outDir: '../dist/site' } }))
    : studio,
);
