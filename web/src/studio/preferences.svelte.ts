/** What the user has chosen about the page itself; kept in this browser. */
import { chinese } from '../language/chinese.ts';
import { english, type Messages } from '../language/english.ts';

export const languages = { en: english, zh: chinese } as const satisfies Record<string, Messages>;
export type LanguageName = keyof typeof languages;
export type Theme = 'light' | 'dark';

const names = { language: 'starstack.language', theme: 'starstack.theme', pixelated: 'starstack.pixelated' };
const keyName = 'starstack.key';

class Preferences {
  language = $state<LanguageName>(firstLanguage());
  /** Undefined follows the system. */
  theme = $state<Theme | undefined>(themeOf(read(localStorage, names.theme)));
  /** Whether pictures are enlarged with sharp pixels. */
  pixelated = $state(read(localStorage, names.pixelated) === 'true');
  #pixelatedChosen = read(localStorage, names.pixelated) !== null;
  /** For this tab alone: a key is a secret. */
  key = $state(read(sessionStorage, keyName) ?? '');

  get words(): Messages {
    return languages[this.language];
  }

  setLanguage(language: LanguageName): void {
    this.language = language;
    write(localStorage, names.language, language);
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    write(localStorage, names.theme, theme);
  }

  /** What suits the model, until the user has chosen. */
  suggestPixelated(pixelated: boolean): void {
    if (!this.#pixelatedChosen) this.pixelated = pixelated;
  }

  setPixelated(pixelated: boolean): void {
    this.pixelated = pixelated;
    this.#pixelatedChosen = true;
    write(localStorage, names.pixelated, String(pixelated));
  }

  setKey(key: string): void {
    this.key = key;
    write(sessionStorage, keyName, key);
  }
}

function firstLanguage(): LanguageName {
  const kept = read(localStorage, names.language);
  if (kept === 'en' || kept === 'zh') return kept;
  return navigator.language.startsWith('zh') ? 'zh' : 'en';
}

function themeOf(kept: string | null): Theme | undefined {
  return kept === 'light' || kept === 'dark' ? kept : undefined;
}

// A browser that forbids storage throws; the page works without a memory.
function read(storage: Storage, name: string): string | null {
  try {
    return storage.getItem(name);
  } catch {
    return null;
  }
}

function write(storage: Storage, name: string, value: string): void {
  try {
    storage.setItem(name, value);
  } catch {
    // See `read`.
  }
}

export const preferences = new Preferences();
