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

/** A picture as it is kept: WebKit stores bytes in a private window, and no Blob. Older studios kept Blobs. */
type KeptPicture = { readonly bytes: ArrayBuffer; readonly type: string } | Blob;
type KeptEntry = Omit<HistoryEntry, 'picture' | 'source' | 'mask'> & {
  readonly picture: KeptPicture;
  readonly source: KeptPicture | undefined;
  readonly mask?: KeptPicture | undefined;
};
type KeptTurn = Omit<Turn, 'pictures'> & { readonly pictures: readonly KeptPicture[] };

interface Schema extends DBSchema {
  pictures: { key: string; value: KeptEntry; indexes: { created: number } };
  /** One entry: the turns of the conversation that is open. */
  conversation: { key: typeof open; value: readonly KeptTurn[] };
}

const open = 'open';

export class StudioDatabase {
  readonly #database: IDBPDatabase<Schema>;
  /** Done when everything is written that was asked for: pictures are read first, and the order must stay. */
  #written: Promise<unknown> = Promise.resolve();

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
    const entries = await this.#database.getAllFromIndex('pictures', 'created');
    return entries.reverse().map(({ picture, source, mask, ...entry }) => ({
      ...entry,
      picture: blobOf(picture),
      source: source && blobOf(source),
      mask: mask && blobOf(mask),
    }));
  }

  write({ picture, source, mask, ...entry }: HistoryEntry): Promise<void> {
    return this.#inOrder(async () => {
      const kept = await Promise.all([keptOf(picture), source && keptOf(source), mask && keptOf(mask)]);
      await this.#database.put('pictures', { ...entry, picture: kept[0], source: kept[1], mask: kept[2] });
    });
  }

  remove(id: string): Promise<void> {
    return this.#inOrder(() => this.#database.delete('pictures', id));
  }

  async readConversation(): Promise<readonly Turn[]> {
    const turns = (await this.#database.get('conversation', open)) ?? [];
    return turns.map((turn) => ({ ...turn, pictures: turn.pictures.map(blobOf) }));
  }

  writeConversation(turns: readonly Turn[]): Promise<void> {
    return this.#inOrder(async () => {
      const kept = turns.map(async (turn) => ({ ...turn, pictures: await Promise.all(turn.pictures.map(keptOf)) }));
      await this.#database.put('conversation', await Promise.all(kept), open);
    });
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#written.then(work);
    this.#written = done.catch(() => undefined);
    return done;
  }
}

async function keptOf(picture: Blob): Promise<KeptPicture> {
  return { bytes: await picture.arrayBuffer(), type: picture.type };
}

function blobOf(kept: KeptPicture): Blob {
  return kept instanceof Blob ? kept : new Blob([kept.bytes], { type: kept.type });
}
