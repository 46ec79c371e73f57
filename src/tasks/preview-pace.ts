/** Which of a picture's previews are shown where only some are asked for. */
import type { PictureEvent } from './events.ts';

type Preview = Pick<Extract<PictureEvent, { type: 'preview-available' }>, 'doneTokens' | 'doneSteps'>;

export interface PreviewPace {
  /** Previews that are asked for. */
  readonly count: number;
  /** Those that were shown. */
  readonly shown: number;
  readonly totalTokens: number;
}

/** The k-th of n is due when k / (n + 1) of the tokens are drawn; those of the diffusion decoder are due at once. */
export function isPreviewDue({ doneTokens, doneSteps }: Preview, { count, shown, totalTokens }: PreviewPace): boolean {
  const due = doneSteps === undefined ? (doneTokens * (count + 1)) / totalTokens : count;
  return shown < count && due >= shown + 1;
}
