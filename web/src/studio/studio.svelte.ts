/** The studio: three ways, one model, one history. */
import type { Backend, LoadingProgress } from '../backend/backend.ts';
import { type BackendError, backendErrorOf } from '../backend/backend-error.ts';
import type { ModelDescription } from '../backend/model-description.ts';
import { History } from '../history/history.svelte.ts';
import { isPicture, recipeOf, requestNames } from '../picture/picture-files.ts';
import { Conversation } from './conversation.svelte.ts';
import { type HistoryEntry, StudioDatabase } from './database.ts';
import { PictureWay } from './picture-way.svelte.ts';
import { preferences } from './preferences.svelte.ts';

export const ways = ['draw', 'edit', 'ask'] as const;
export type Way = (typeof ways)[number];

export class Studio {
  readonly backend: Backend;
  readonly draw = new PictureWay('draw');
  readonly edit = new PictureWay('edit');
  readonly conversation = new Conversation();
  readonly history = new History();
  way = $state<Way>('draw');
  model = $state.raw<ModelDescription>();
  /** How far it is loaded, where the page does that. */
  loading = $state.raw<LoadingProgress>();
  /** Why there is no model. */
  failure = $state.raw<BackendError>();
  /** Something to know, such as what a dropped picture has changed. */
  notice = $state('');

  constructor(backend: Backend) {
    this.backend = backend;
  }

  /** Reads what is kept, and waits for the model while it is loading. */
  async start(): Promise<void> {
    const database = StudioDatabase.open();
    void this.history.load(database);
    void this.conversation.load(database);
    await this.connect();
  }

  async connect(): Promise<void> {
    const { signal } = new AbortController();
    while (true) {
      try {
        const model = await this.backend.describe(signal, (progress) => {
          this.failure = undefined;
          this.loading = progress;
        });
        this.model = model;
        this.failure = undefined;
        this.loading = undefined;
        // Enlarged many times, small pictures are clearer with their pixels than blurred.
        preferences.suggestPixelated(model.imageSize <= 128);
        this.draw.settings.schemas = model.settings.generate;
        this.edit.settings.schemas = model.settings.edit;
        this.conversation.settings.schemas = model.settings.understand;
        return;
      } catch (error) {
        const failure = backendErrorOf(error, signal);
        this.loading = undefined;
        // A server that is starting is waited for; all else is shown.
        this.failure = failure.kind === 'loading' ? undefined : failure;
        if (failure.kind !== 'loading') return;
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  }

  get current(): PictureWay | Conversation {
    return this.way === 'ask' ? this.conversation : this[this.way];
  }

  async submit(): Promise<void> {
    this.notice = '';
    if (!this.model) return;
    if (this.way === 'ask') await this.conversation.submit(this.backend);
    else await this[this.way].submit(this.backend, this.model, (entry) => void this.history.add(entry));
  }

  /** Shows a picture of the history, in the way it was made. */
  open(entry: HistoryEntry): void {
    this.way = entry.way;
    this[entry.way].show(entry);
  }

  /** Prompt, seed and settings of a picture for the next one. */
  reuse(entry: HistoryEntry): void {
    const way = this[entry.way];
    this.way = entry.way;
    way.prompt = entry.prompt;
    way.seed.reuse(entry.seed);
    way.settings.restore(entry.settings);
    if (entry.source) way.open(entry.source, entry.mask);
  }

  editPicture(picture: Blob): void {
    this.edit.clear();
    this.edit.open(picture);
    this.way = 'edit';
  }

  askAbout(picture: Blob): void {
    if (!this.conversation.attached.includes(picture)) this.conversation.attach([picture]);
    this.way = 'ask';
  }

  /** Files that were dropped, pasted or chosen, for the way that is open. */
  async take(files: readonly File[]): Promise<void> {
    const { words } = preferences;
    const pictures = files.filter(isPicture);
    const [first] = pictures;
    this.notice = '';
    if (first === undefined) {
      if (files[0]) this.notice = words.notAPicture(files[0].name);
    } else if (this.way === 'ask') {
      this.conversation.attach(pictures);
    } else if (this.way === 'edit') {
      this.editPicture(first);
    } else if (!(await this.#restore(first))) {
      this.notice = words.noRecipe(first.name);
      this.editPicture(first);
    }
  }

  async #restore(file: File): Promise<boolean> {
    const recipe = await recipeOf(file);
    if (!recipe) return false;
    const { words } = preferences;
    const way = recipe.task === 'edit' ? this.edit : this.draw;
    this.way = way.way;
    way.prompt = recipe.prompt;
    way.seed.reuse(recipe.seed);
    const left = way.settings.restore(requestNames(recipe.settings));
    const restored = recipe.task === 'edit' ? words.restoredEdit(file.name) : words.restored(file.name);
    this.notice = left.length > 0 ? `${restored} ${words.restoredLeft(left.join(', '))}` : restored;
    if (recipe.task === 'generate') {
      way.show({
        id: '',
        way: 'draw',
        prompt: recipe.prompt,
        seed: recipe.seed,
        thought: recipe.thought,
        settings: {},
        model: recipe.model,
        created: Date.now(),
        starred: false,
        picture: file,
        source: undefined,
      });
    }
    return true;
  }
}
