/** A new model's settings from a YAML file. */
import { parse, YAMLError } from 'yaml';
import { readTextFile } from '../../models/config-file.ts';
import { TrainingError } from '../error.ts';
import { parseModelSettings, type ResolvedModelSettings } from './settings.ts';

/**
 * @throws ConfigError for a file that cannot be read, TrainingError for one that is no YAML and for a bad setting.
 */
export async function readModelSettings(file: string): Promise<ResolvedModelSettings> {
  const text = await readTextFile(file);
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    if (!(cause instanceof YAMLError)) throw cause;
    const [reason] = cause.message.split('\n');
    throw new TrainingError('training_option_invalid', `${file}: expected YAML, got: ${reason}`, { file });
  }
  return parseModelSettings(value);
}
