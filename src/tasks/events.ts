/** What a running task tells. The last event of a stream ends with the result, which the generator also returns. */
import type { RgbImage } from '../image/rgb-image.ts';
import type { GeneratedImage } from './generated-image.ts';

/** Something the caller should know that was no reason to stop. */
export interface TaskWarning {
  readonly code: string;
  readonly message: string;
}

/** Milliseconds by stage. */
export type Timings = Readonly<Record<string, number>>;

export interface TextAnswer {
  readonly answer: string;
  /** The tokens drawn, the end token among them. */
  readonly tokenIds: readonly number[];
  readonly finishReason: 'stop' | 'length' | 'aborted';
  readonly promptTokens: number;
  readonly seed: number;
  readonly warnings: readonly TaskWarning[];
  readonly timings: Timings;
  readonly device: string;
}

export type TextEvent =
  | { readonly type: 'text-start'; readonly promptTokens: number }
  | { readonly type: 'token-delta'; readonly tokenId: number; readonly text: string }
  | { readonly type: 'text-end'; readonly result: TextAnswer };

export interface PictureResult {
  readonly images: readonly GeneratedImage[];
  /** Seed of the first image; image i uses `seed + i`. */
  readonly seed: number;
  /** What implicit reasoning answered; of the first image, where each has its own (`image.recipe.thought`). */
  readonly thought?: string;
  readonly finishReason: 'complete' | 'aborted';
  readonly warnings: readonly TaskWarning[];
  readonly timings: Timings;
  readonly device: string;
}

export type PictureEvent =
  | { readonly type: 'reasoning-delta'; readonly text: string }
  | { readonly type: 'reasoning-end'; readonly thought: string }
  | {
      readonly type: 'picture-start';
      readonly seed: number;
      readonly totalTokens: number;
      readonly count: number;
      /** Places of the prompt, and how many of them a source picture fills. */
      readonly promptTokens: number;
      readonly sourceTokens: number;
    }
  /** After each row of tokens. */
  | { readonly type: 'picture-progress'; readonly doneTokens: number; readonly totalTokens: number }
  /** After each step of the diffusion decoder, which begins when all tokens are done. */
  | { readonly type: 'diffusion-progress'; readonly doneSteps: number; readonly totalSteps: number }
  | {
      readonly type: 'preview-available';
      readonly doneTokens: number;
      /** Steps of the diffusion decoder, where the previews are its own. */
      readonly doneSteps?: number;
      readonly previews: readonly RgbImage[];
    }
  | { readonly type: 'image-end'; readonly index: number; readonly image: GeneratedImage }
  | { readonly type: 'picture-end'; readonly result: PictureResult };
