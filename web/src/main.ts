/** The studio's first file: builds the page around a backend. */
import { mount } from 'svelte';
import './style/tokens.css';
import './style/base.css';
import './style/controls.css';
import App from './App.svelte';
import type { Backend } from './backend/backend.ts';
import { ServerBackend } from './backend/server-backend.ts';
import { preferences } from './studio/preferences.svelte.ts';
import { Studio } from './studio/studio.svelte.ts';

const studio = new Studio(await chooseBackend());
mount(App, { target: document.getElementById('app')!, props: { studio } });
void studio.start();

/** The static site has its model beside it; all else is served by `starstack serve`. The mode is fixed when the page is built. */
async function chooseBackend(): Promise<Backend> {
  if (import.meta.env.MODE !== 'site') return new ServerBackend(location.origin, () => preferences.key);
  const { BrowserBackend } = await import('./backend/browser-backend.ts');
  // For browsers whose WebGPU starts and computes nonsense: `?device=cpu`. Other words are refused when the model is loaded.
  const device = new URLSearchParams(location.search).get('device') ?? 'auto';
  return new BrowserBackend('models/nano/', { device: device as 'auto' });
}
