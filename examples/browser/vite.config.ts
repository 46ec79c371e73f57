/** Builds `dist/site`: a page, ONNX Runtime's files and the nano model. Any web server can hold it. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { siteOptions } from './site.ts';

const root = fileURLToPath(new URL('.', import.meta.url));
const repository = fileURLToPath(new URL('../..', import.meta.url));

export default defineConfig(siteOptions({ root, repository, outDir: `${repository}dist/site`, model: 'models/nano' }));
