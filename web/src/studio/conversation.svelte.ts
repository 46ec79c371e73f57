/** A conversation about pictures. */
import type { Backend, Turn } from '../backend/backend.ts';
import { type BackendError, backendErrorOf } from '../backend/backend-error.ts';
import type { StudioDatabase } from './database.ts';
import { Pace } from './pace.ts';
import { SeedChoice } from './seed-choice.svelte.ts';
import { SettingsChoice } from './settings-choice.svelte.ts';

export class Conversation {
  draft = $state('');
  /** Pictures that go with the next question. */
  attached = $state.raw<readonly Blob[]>([]);
  turns = $state.raw<readonly Turn[]>([]);
  /** The answer that is being written. */
  answer = $state<string>();
  position = $state(0);
  perSecond = $state<number>();
  /** Whether the last answer reached the longest length. */
  cut = $state(false);
  failure = $state.raw<BackendError>();
  readonly seed = new SeedChoice();
  readonly settings = new SettingsChoice();
  #controller = new AbortController();
  #database: StudioDatabase | undefined;

  /** Goes on with the conversation that is kept, unless another has begun. Where nothing can be kept it ends with the page. */
  async load(opening: Promise<StudioDatabase>): Promise<void> {
    try {
      this.#database = await opening;
      const turns = await this.#database.readConversation();
      if (this.turns.length > 0) return;
      const last = turns.at(-1);
      // A question that the page left before its answer stands ready to be asked again.
      if (last?.role === 'user' && this.draft === '' && this.attached.length === 0) {
        this.draft = last.text;
        this.attached = last.pictures;
      }
      this.turns = last?.role === 'user' ? turns.slice(0, -1) : turns;
    } catch {
      this.#database = undefined;
    }
  }

  get running(): boolean {
    return this.answer !== undefined;
  }

  get ready(): boolean {
    return !this.running && this.draft.trim() !== '';
  }

  get pictureCount(): number {
    return this.turns.reduce((sum, { pictures }) => sum + pictures.length, this.attached.length);
  }

  attach(pictures: readonly Blob[]): void {
    this.attached = [...this.attached, ...pictures];
  }

  detach(picture: Blob): void {
    this.attached = this.attached.filter((other) => other !== picture);
  }

  cancel(): void {
    this.#controller.abort();
  }

  restart(): void {
    this.cancel();
    this.#say([]);
    this.failure = undefined;
    this.cut = false;
  }

  async submit(backend: Backend): Promise<void> {
    if (!this.ready) return;
    const asked: Turn = { role: 'user', text: this.draft.trim(), pictures: this.attached };
    this.#say([...this.turns, asked]);
    this.draft = '';
    this.attached = [];
    await this.#answer(backend);
  }

  #say(turns: readonly Turn[]): void {
    this.turns = turns;
    // What cannot be kept is still there until the page ends.
    void this.#database?.writeConversation(turns).catch(() => undefined);
  }

  /** Asks the last question again. */
  async retry(backend: Backend): Promise<void> {
    if (!this.running && this.turns.at(-1)?.role === 'user') await this.#answer(backend);
  }

  async #answer(backend: Backend): Promise<void> {
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    const { turns } = this;
    this.failure = undefined;
    this.cut = false;
    this.position = 0;
    this.perSecond = undefined;
    this.answer = '';
    let tokens = 0;
    let pace: Pace | undefined;
    try {
      const question = { turns, seed: this.seed.take(1)[0]!, settings: this.settings.chosen };
      for await (const event of backend.ask(question, signal)) {
        if (event.type === 'queued') this.position = event.position;
        if (event.type === 'text-end') this.cut = event.finishReason === 'length';
        if (event.type !== 'token-delta') continue;
        this.position = 0;
        pace ??= new Pace(performance.now());
        pace.tell(tokens++, performance.now());
        this.perSecond = pace.perSecond;
        this.answer += event.text;
      }
      if (this.turns === turns) this.#say([...turns, { role: 'assistant', text: this.answer, pictures: [] }]);
    } catch (error) {
      this.failure = backendErrorOf(error, signal);
      // What was answered before a cancel stays.
      if (this.answer !== '' && this.turns === turns) {
        this.#say([...turns, { role: 'assistant', text: this.answer, pictures: [] }]);
      }
    }
    this.answer = undefined;
  }
}
