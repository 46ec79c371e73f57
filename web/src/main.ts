/** The studio's first file: builds the page around a backend. */
import { mount } from 'svelte';
import './style/tokens.css';
import './style/base.css';
import './style/controls.css';
import App from './App.svelte';
import { ServerBackend } from './backend/server-backend.ts';
import { preferences } from './studio/preferences.svelte.ts';
import { Studio } from './studio/studio.svelte.ts';

const studio = new Studio(new ServerBackend(location.origin, () => preferences.key));
mount(App, { target: document.getElementById('app')!, props: { studio } });
void studio.start();
