/** Drawing, or editing: the prompt, what it is drawn with, and the pictures of the latest request. */
import type { Backend } from '../backend/backend.ts';
import type { ModelDescription } from '../backend/model-description.ts';
import type { HistoryEntry } from './database.ts';
import { PictureJob } from './picture-job.svelte.ts';
import { SeedChoice } from './seed-choice.svelte.ts';
import { SettingsChoice } from './settings-choice.svelte.ts';

export class PictureWay {
  readonly way: 'draw' | 'edit';
  prompt = $state('');
  count = $state(1);
  preview = $state<'linear' | 'decoder'>('decoder');
  /** What is edited. */
  source = $state.raw<Blob>();
  /** Where it may change, as `EditOrder` has it. */
  mask = $state.raw<Blob>();
  jobs = $state.raw<readonly PictureJob[]>([]);
  selected = $state(0);
  readonly seed = new SeedChoice();
  readonly settings = new SettingsChoice();

  constructor(way: 'draw' | 'edit') {
    this.way = way;
  }

  get running(): boolean {
    return this.jobs.some((job) => job.running);
  }

  get job(): PictureJob | undefined {
    return this.jobs[this.selected];
  }

  get ready(): boolean {
    return !this.running && this.prompt.trim() !== '' && (this.way === 'draw' || this.source !== undefined);
  }

  cancel(): void {
    for (const job of this.jobs) job.cancel();
  }

  /** Draws; each picture is told when it is done. */
  async submit(backend: Backend, model: ModelDescription, keep: (entry: HistoryEntry) => void): Promise<void> {
    if (!this.ready) return;
    const { prompt, source, mask } = this;
    const settings = this.settings.chosen;
    // A row of tokens each; OpenAI's field counts those before the last.
    const preview = {
      kind: this.preview,
      count: Math.min(64, Math.max(0, Math.round(Math.sqrt(model.imageTokens)) - 1)),
    };
    this.jobs = this.seed.take(this.count).map((seed) => new PictureJob(prompt, seed, source));
    this.selected = 0;
    await Promise.all(
      this.jobs.map(async (job) => {
        const order = { prompt, seed: job.seed, settings, preview };
        await job.run((signal) =>
          source ? backend.edit({ ...order, source, mask }, signal) : backend.generate(order, signal),
        );
        if (!job.result) return;
        job.entryId = crypto.randomUUID();
        keep({
          id: job.entryId,
          way: this.way,
          prompt,
          seed: job.result.seed,
          thought: job.result.thought,
          settings,
          model: model.id,
          created: Date.now(),
          starred: false,
          picture: job.result.png,
          source,
          mask,
        });
      }),
    );
  }

  /** Shows a picture of the history as if it had just been made. */
  show(entry: HistoryEntry): void {
    this.cancel();
    const job = new PictureJob(entry.prompt, entry.seed, entry.source);
    const thought = entry.thought === undefined ? {} : { thought: entry.thought };
    job.result = { png: entry.picture, seed: entry.seed, warnings: [], ...thought };
    job.thought = entry.thought ?? '';
    job.phase = 'done';
    job.entryId = entry.id;
    this.jobs = [job];
    this.selected = 0;
    if (entry.source) this.open(entry.source, entry.mask);
  }

  /** Puts a picture there to be edited. */
  open(source: Blob, mask?: Blob): void {
    this.source = source;
    this.mask = mask;
  }

  /** Away from the pictures that were made, to the one that is edited. */
  clear(): void {
    this.cancel();
    this.jobs = [];
  }
}
