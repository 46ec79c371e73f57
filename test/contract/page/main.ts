import { Star } from '../../../src/browser.ts';
import type { Order, Outcome } from '../asking-page.ts';
import { createScenarios, type Scenarios } from '../scenarios.ts';

declare global {
  interface Window {
    contract: Scenarios;
  }
}

window.contract = createScenarios((model, options, onProgress) => Star.load(model, { ...options, onProgress }));

/** Runs what the server has for it, for browsers that nothing drives. */
async function ask(): Promise<never> {
  for (;;) {
    const { number, name, args } = (await (await fetch('order')).json()) as Order;
    let outcome: Outcome;
    try {
      const scenario = window.contract[name as keyof Scenarios] as (...args: readonly unknown[]) => Promise<unknown>;
      outcome = { number, value: await scenario(...args) };
    } catch (error) {
      outcome = { number, error: String(error) };
    }
    await fetch('outcome', { method: 'POST', body: JSON.stringify(outcome) });
  }
}

if (location.search === '?asks') void ask();
