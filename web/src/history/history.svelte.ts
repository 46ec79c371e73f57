/** Pictures that were made, the newest first. */
import type { HistoryEntry, StudioDatabase } from '../studio/database.ts';

export class History {
  entries = $state.raw<readonly HistoryEntry[]>([]);
  starredOnly = $state(false);
  /** False where the browser keeps nothing, as some do in private windows; then the history ends with the page. */
  kept = $state(true);
  #database: StudioDatabase | undefined;

  get shown(): readonly HistoryEntry[] {
    return this.starredOnly ? this.entries.filter(({ starred }) => starred) : this.entries;
  }

  /** @param opening of what it is kept in */
  async load(opening: Promise<StudioDatabase>): Promise<void> {
    await this.#keep(async () => {
      this.#database = await opening;
      this.entries = await this.#database.readHistory();
    });
  }

  find(id: string): HistoryEntry | undefined {
    return this.entries.find((entry) => entry.id === id);
  }

  add(entry: HistoryEntry): Promise<void> {
    this.entries = [entry, ...this.entries];
    return this.#keep(() => this.#database?.write(entry));
  }

  toggleStar(id: string): Promise<void> {
    this.entries = this.entries.map((entry) => (entry.id === id ? { ...entry, starred: !entry.starred } : entry));
    const entry = this.find(id);
    return this.#keep(() => (entry ? this.#database?.write(entry) : undefined));
  }

  remove(id: string): Promise<void> {
    this.entries = this.entries.filter((entry) => entry.id !== id);
    return this.#keep(() => this.#database?.remove(id));
  }

  async #keep(work: () => Promise<void> | undefined): Promise<void> {
    try {
      await work();
    } catch {
      this.kept = false;
    }
  }
}
