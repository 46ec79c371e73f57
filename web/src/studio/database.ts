/** What the studio keeps on disk: IndexedDB, in this browser alone. */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import type { ChosenSettings, Turn } from '../backend/backend.ts';

export interface HistoryEntry {
  readonly id: string;
  readonly way: 'draw' | 'edit';
  readonly prompt: string;
  readonly seed: number;
  readonly thought: string | undefined;
  /** What differed from the model's defaults. */
  readonly settings: ChosenSettings;
  readonly model: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly starred: boolean;
  readonly picture: Blob;
  /** The picture that was edited. */
  readonly source: Blob | undefined;
  /** Where it was to change, as `EditOrder` has it. Entries of older studios have none. */
  readonly mask?: Blob | undefined;
}

interface Schema extends DBSchema {
  pictures: { key: string; value: HistoryEntry; indexes: { created: number } };
  /** One entry: the turns of the conversation that is open. */
  conversation: { key: typeof open; value: readonly Turn[] };
}

const open = 'open';

export class StudioDatabase {
  readonly #database: IDBPDatabase<Schema>;

  private constructor(database: IDBPDatabase<Schema>) {
    this.#database = database;
  }

  static async open(): Promise<StudioDatabase> {
    const database = await openDB<Schema>('starstack', 2, {
      upgrade(fresh, version) {
        if (version < 1) fresh.createObjectStore('pictures', { keyPath: 'id' }).createIndex('created', 'created');
        if (version < 2) fresh.createObjectStore('conversation');
      },
      // A tab with a newer studio waits for this one.
      blocking: (_version, _wanted, { target }) => (target as IDBDatabase).close(),
    });
    return new StudioDatabase(database);
  }

  /** The newest first. */
  async readHistory(): Promise<HistoryEntry[]> {
    return (await this.#database.getAllFromIndex('pictures', 'created')).reverse();
  }

  async write(entry: HistoryEntry): Promise<void> {
    await this.#database.put('pictures', entry);
  }

  async remove(id: string): Promise<void> {
    await this.#database.delete('pictures', id);
  }

  async readConversation(): Promise<readonly Turn[]> {
    return (await this.#database.get('conversation', open)) ?? [];
  }

  async writeConversation(turns: readonly Turn[]): Promise<void> {
    await this.#database.put('conversation', turns, open);
  }
}
