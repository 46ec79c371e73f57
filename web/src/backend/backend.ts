/**
 * What the studio asks of whoever computes: a server, or the browser itself. Work comes as events, named after those of
 * `src/tasks/events.ts`; aborting the signal ends the work and its resources, and the iteration throws a `BackendError` of
 * kind `aborted`. All failures are `BackendError`s.
 */
import type { LoadProgress } from '../../../src/browser.ts';
import type { ModelDescription, SettingValue } from './model-description.ts';

/** Settings by the names of `ModelDescription.settings`; what is not named has the model's default. */
export type ChosenSettings = Readonly<Record<string, SettingValue>>;

export interface PictureOrder {
  readonly prompt: string;
  readonly seed: number;
  readonly settings: ChosenSettings;
  /** How unfinished pictures are made, and how many at most. */
  readonly preview: { readonly kind: 'linear' | 'decoder'; readonly count: number };
}

export interface EditOrder extends PictureOrder {
  /** PNG, JPEG or WebP. */
  readonly source: Blob;
  /** A PNG of its size, transparent where it may change; undefined where all may. */
  readonly mask: Blob | undefined;
}

export interface DrawnPicture {
  /** With its recipe inside, where it is a PNG of Starstack's. */
  readonly png: Blob;
  readonly seed: number;
  /** What implicit reasoning answered. */
  readonly thought?: string;
  readonly warnings: readonly string[];
}

export type PictureEvent =
  /** Requests before this one; told again when that changes. */
  | { readonly type: 'queued'; readonly position: number }
  | { readonly type: 'reasoning-delta'; readonly text: string }
  | { readonly type: 'picture-start'; readonly seed: number; readonly totalTokens: number }
  | { readonly type: 'picture-progress'; readonly doneTokens: number; readonly totalTokens: number }
  | { readonly type: 'diffusion-progress'; readonly doneSteps: number; readonly totalSteps: number }
  | { readonly type: 'preview-available'; readonly picture: Blob }
  /** The last event. */
  | { readonly type: 'image-end'; readonly image: DrawnPicture };

export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly text: string;
  readonly pictures: readonly Blob[];
}

export interface Question {
  /** The conversation; its last turn is the user's. */
  readonly turns: readonly Turn[];
  readonly seed: number;
  readonly settings: ChosenSettings;
}

export type TextEvent =
  | { readonly type: 'queued'; readonly position: number }
  | { readonly type: 'token-delta'; readonly text: string }
  /** The last event. */
  | {
      readonly type: 'text-end';
      readonly finishReason: 'stop' | 'length';
      readonly promptTokens: number;
      readonly answerTokens: number;
    };

/** How far a model that the page itself runs is loaded. */
export type LoadingProgress = LoadProgress;

export interface Backend {
  /** Where the work is done, for people: a server's address, or `browser`. */
  readonly place: string;
  /**
   * Resolves when work is taken; fails as `loading` where that is to be asked again.
   * @param tell hears of the loading where the page does it
   */
  describe(signal: AbortSignal, tell?: (progress: LoadingProgress) => void): Promise<ModelDescription>;
  /** One picture. Picture i of seed s is that of seed s + i, so several are several orders. */
  generate(order: PictureOrder, signal: AbortSignal): AsyncIterable<PictureEvent>;
  edit(order: EditOrder, signal: AbortSignal): AsyncIterable<PictureEvent>;
  ask(question: Question, signal: AbortSignal): AsyncIterable<TextEvent>;
}
