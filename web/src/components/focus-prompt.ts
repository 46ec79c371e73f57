import { tick } from 'svelte';

/** After a picture was taken to another way the next thing is to say what to do with it. */
export async function focusPrompt(): Promise<void> {
  await tick();
  document.getElementById('prompt')?.focus();
}
