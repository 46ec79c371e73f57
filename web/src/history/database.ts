/** The history on disk: IndexedDB, in this browser alone. */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import type { ChosenSettings } from '../backend/backend.ts';

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
}

interface Schema extends DBSchema {
  pictures: { key: string; value: HistoryEntry; indexes: { created: number } };
}

export class HistoryDatabase {
  readonly #database: IDBPDatabase<Schema>;

  private constructor(database: IDBPDatabase<Schema>) {
    this.#database = database;
  }

  static async open(): Promise<HistoryDatabase> {
    const database = await openDB<Schema>('starstack', 1, {
      upgrade(fresh) {
        fresh.createObjectStore('pictures', { keyPath: 'id' }).createIndex('created', 'created');
      },
    });
    return new HistoryDatabase(database);
  }

  /** The newest first. */
  async read(): Promise<HistoryEntry[]> {
    return (await this.#database.getAllFromIndex('pictures', 'created')).reverse();
  }

  async write(entry: HistoryEntry): Promise<void> {
    await this.#database.put('pictures', entry);
  }

  async remove(id: string): Promise<void> {
    await this.#database.delete('pictures', id);
  }
}
