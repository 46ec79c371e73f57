/** One picture in the making: what is shown of it, out of its events. */
import type { DrawnPicture, PictureEvent } from '../backend/backend.ts';
import { type BackendError, backendErrorOf } from '../backend/backend-error.ts';
import { releaseUrl } from '../picture/object-url.ts';
import { Pace } from './pace.ts';

export type JobPhase = 'sending' | 'queued' | 'thinking' | 'drawing' | 'done' | 'failed' | 'cancelled';

export class PictureJob {
  readonly prompt: string;
  readonly seed: number;
  readonly source: Blob | undefined;
  phase = $state<JobPhase>('sending');
  position = $state(0);
  thought = $state('');
  /** Of the tokens, or of the steps of the diffusion decoder after them: 0 to 1. */
  fraction = $state(0);
  perSecond = $state<number>();
  secondsLeft = $state<number>();
  preview = $state.raw<Blob>();
  result = $state.raw<DrawnPicture>();
  failure = $state.raw<BackendError>();
  /** Its place in the history, once it is there. */
  entryId = $state<string>();
  readonly #controller = new AbortController();
  #pace: Pace | undefined;

  constructor(prompt: string, seed: number, source: Blob | undefined) {
    this.prompt = prompt;
    this.seed = seed;
    this.source = source;
  }

  get running(): boolean {
    return !['done', 'failed', 'cancelled'].includes(this.phase);
  }

  /** The best picture so far. */
  get picture(): Blob | undefined {
    return this.result?.png ?? this.preview;
  }

  cancel(): void {
    this.#controller.abort();
  }

  /** Follows the events to their end. Throws nothing: what fails is in `failure`. */
  async run(begin: (signal: AbortSignal) => AsyncIterable<PictureEvent>): Promise<void> {
    const { signal } = this.#controller;
    try {
      for await (const event of begin(signal)) this.#take(event);
    } catch (error) {
      this.failure = backendErrorOf(error, signal);
      this.phase = this.failure.kind === 'aborted' ? 'cancelled' : 'failed';
    }
  }

  #take(event: PictureEvent): void {
    switch (event.type) {
      case 'queued':
        this.phase = 'queued';
        this.position = event.position;
        break;
      case 'reasoning-delta':
        this.phase = 'thinking';
        this.thought += event.text;
        break;
      case 'picture-start':
        this.phase = 'drawing';
        this.#pace = new Pace(performance.now());
        break;
      case 'picture-progress':
        this.#progress(event.doneTokens, event.totalTokens);
        break;
      case 'diffusion-progress':
        // A clock of its own: steps are no tokens.
        if (event.doneSteps <= 1) this.#pace = new Pace(performance.now(), event.doneSteps);
        this.#progress(event.doneSteps, event.totalSteps);
        break;
      case 'preview-available': {
        const old = this.preview;
        this.preview = event.picture;
        if (old) releaseUrl(old);
        break;
      }
      case 'image-end':
        this.result = event.image;
        this.thought = event.image.thought ?? '';
        this.fraction = 1;
        this.phase = 'done';
        break;
    }
  }

  #progress(done: number, total: number): void {
    this.phase = 'drawing';
    this.fraction = done / total;
    this.#pace?.tell(done, performance.now());
    this.perSecond = this.#pace?.perSecond;
    this.secondsLeft = this.#pace?.secondsLeft(total);
  }
}
