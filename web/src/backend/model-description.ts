/** What a backend tells of its model. */

export type SettingValue = number | boolean | string | readonly number[];

interface Described {
  readonly description: string;
  /** The decoder that alone takes it. */
  readonly decoder?: string;
}

export interface NumberSetting extends Described {
  readonly type: 'number' | 'integer';
  /** Undefined where the model folder or the decoder decides. */
  readonly default: number | undefined;
  readonly minimum: number | undefined;
  /** True where the minimum itself is out of range. */
  readonly aboveMinimum: boolean;
  readonly maximum: number | undefined;
}

export interface SwitchSetting extends Described {
  readonly type: 'boolean';
  readonly default: boolean;
}

export interface ChoiceSetting extends Described {
  readonly type: 'choice';
  readonly default: string | undefined;
  readonly choices: readonly string[];
}

/** A setting that the studio can show: the part of its JSON schema that counts. */
export type Setting = NumberSetting | SwitchSetting | ChoiceSetting;

export type Settings = Readonly<Record<string, Setting>>;

export interface ModelDescription {
  readonly id: string;
  /** Pixels on a side. */
  readonly imageSize: number;
  readonly imageTokens: number;
  readonly maxPictures: number;
  readonly maxQueue: number;
  /** What computes, where that is the page itself. */
  readonly device?: { readonly kind: 'webgpu' } | { readonly kind: 'wasm'; readonly threads: number };
  /** Why that, and what the page lacks, for people. */
  readonly notes: readonly string[];
  readonly settings: Readonly<Record<'generate' | 'edit' | 'understand', Settings>>;
}

/** Reads JSON schemas of fields; fields of other kinds than above are left out. */
export function settingsFrom(fields: unknown): Settings {
  if (!isRecord(fields)) return {};
  const entries = Object.entries(fields).flatMap(([name, schema]): [string, Setting][] => {
    const setting = isRecord(schema) ? settingFrom(schema) : undefined;
    return setting ? [[name, setting]] : [];
  });
  return Object.fromEntries(entries);
}

function settingFrom(schema: Readonly<Record<string, unknown>>): Setting | undefined {
  const { type, default: own } = schema;
  const common = {
    description: typeof schema.description === 'string' ? schema.description : '',
    ...(typeof schema.decoder === 'string' ? { decoder: schema.decoder } : {}),
  };
  if (type === 'boolean') return { ...common, type, default: own === true };
  if (type === 'string' && Array.isArray(schema.enum)) {
    const choices = schema.enum.filter((choice): choice is string => typeof choice === 'string');
    return { ...common, type: 'choice', default: typeof own === 'string' ? own : undefined, choices };
  }
  if (type !== 'number' && type !== 'integer') return undefined;
  return {
    ...common,
    type,
    default: numberOf(own),
    minimum: numberOf(schema.minimum) ?? numberOf(schema.exclusiveMinimum),
    aboveMinimum: numberOf(schema.exclusiveMinimum) !== undefined,
    maximum: numberOf(schema.maximum),
  };
}

/** Whether a setting can have a value; recipes of strangers are asked this. */
export function accepts(setting: Setting, value: unknown): value is SettingValue {
  if (setting.type === 'boolean') return typeof value === 'boolean';
  if (setting.type === 'choice') return typeof value === 'string' && setting.choices.includes(value);
  if (typeof value !== 'number' || !Number.isFinite(value)) return false;
  if (setting.type === 'integer' && !Number.isInteger(value)) return false;
  const { minimum = -Infinity, maximum = Infinity } = setting;
  return (setting.aboveMinimum ? value > minimum : value >= minimum) && value <= maximum;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
