/** What a screen reader is told of the work that is going on: in quarters, since each row would be a flood. */
import type { Messages } from '../language/english.ts';
import type { Studio } from './studio.svelte.ts';

export function announcement(studio: Studio, words: Messages): string {
  if (!studio.model) return studio.failure ? '' : words.modelLoading;
  if (studio.way === 'ask') {
    const { conversation } = studio;
    if (conversation.running) return conversation.position > 0 ? words.queued(conversation.position) : words.thinking;
    const last = conversation.turns.at(-1);
    return last?.role === 'assistant' ? `${last.text} ${words.answered}` : '';
  }
  const { job } = studio[studio.way];
  switch (job?.phase) {
    case 'sending':
      return words.sending;
    case 'queued':
      return words.queued(job.position);
    case 'thinking':
      return words.thinking;
    case 'drawing':
      return words.percent(Math.floor(job.fraction * 4) * 25);
    case 'done':
      return words.drawn;
    case 'cancelled':
      return words.cancelled;
    default:
      return '';
  }
}
