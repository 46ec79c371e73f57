/** Sessions that stay loaded once they were asked for. */
import type { Session } from './session.ts';

export class SessionCache<Key extends string = string> {
  readonly #sessions = new Map<Key, Promise<Session>>();

  /** The session of this name; the first call loads it. */
  get(key: Key, load: () => Promise<Session>): Promise<Session> {
    let session = this.#sessions.get(key);
    if (!session) {
      session = load();
      this.#sessions.set(key, session);
      // A failed load may be tried again.
      session.catch(() => this.#sessions.delete(key));
    }
    return session;
  }
}
