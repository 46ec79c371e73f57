/** The settings of one way: what the user has changed, against the model's defaults. */
import type { ChosenSettings } from '../backend/backend.ts';
import { accepts, type Setting, type Settings, type SettingValue } from '../backend/model-description.ts';

export class SettingsChoice {
  schemas = $state.raw<Settings>({});
  #changed = $state.raw<ChosenSettings>({});

  /** The value that will be used; undefined where the model or the decoder decides. */
  valueOf(name: string): SettingValue | undefined {
    return this.#changed[name] ?? this.schemas[name]?.default;
  }

  /** What a request must say. */
  get chosen(): ChosenSettings {
    const entries = Object.entries(this.#changed).filter(([name]) => this.isUsed(name));
    return Object.fromEntries(entries);
  }

  get anyChanged(): boolean {
    return Object.keys(this.#changed).length > 0;
  }

  /** Settings that have an effect now, in the model's order; the seed has a place of its own. */
  get shown(): readonly (readonly [string, Setting])[] {
    return Object.entries(this.schemas).filter(([name, setting]) => {
      if (name === 'seed' || (setting.type === 'choice' && setting.choices.length < 2)) return false;
      return this.isUsed(name) && (!name.startsWith('reasoning_') || this.valueOf('reasoning') === true);
    });
  }

  isUsed(name: string): boolean {
    const decoder = this.schemas[name]?.decoder;
    return decoder === undefined || decoder === this.valueOf('decoder');
  }

  /** @param value undefined goes back to the default */
  set(name: string, value: SettingValue | undefined): void {
    const { [name]: _, ...others } = this.#changed;
    this.#changed =
      value === undefined || value === this.schemas[name]?.default ? others : { ...others, [name]: value };
  }

  reset(): void {
    this.#changed = {};
  }

  /**
   * Takes the settings of a recipe, whoever wrote it.
   * @returns names of those that this model cannot have
   */
  restore(settings: Readonly<Record<string, unknown>>): string[] {
    this.reset();
    const left: string[] = [];
    for (const [name, value] of Object.entries(settings)) {
      const schema = this.schemas[name];
      if (schema && accepts(schema, value)) this.set(name, value);
      else left.push(name);
    }
    return left;
  }
}
