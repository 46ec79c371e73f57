import { Star } from '../../../src/browser.ts';
import { createScenarios, type Scenarios } from '../scenarios.ts';

declare global {
  interface Window {
    contract: Scenarios;
  }
}

window.contract = createScenarios((model, options, onProgress) => Star.load(model, { ...options, onProgress }));
