/** Builds `dist/example`: a page, ONNX Runtime's files and the nano model. Any web server can hold it. */
import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vite';
import { siteOptions } from '../../web/site.ts';

const root = fileURLToPath(new URL('.', import.meta.url));

export default defineConfig(mergeConfig(siteOptions('models/nano'), { root, build: { outDir: '../../dist/example' } }));
