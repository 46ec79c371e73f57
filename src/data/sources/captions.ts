/** Captions as JSON writes them: one text, or several of which one is taken by chance. */
import type { JsonValue } from '../../checkpoint/json.ts';
import { uniform } from '../../tensor/random.ts';
import { DataError } from '../error.ts';
import type { Place } from './order.ts';
import { checkText } from './picture.ts';

/** A stream of `uniform` that transforms do not take. */
const captionStream = 2 ** 41;

/** The caption of a sample. Throws `DataError` (`data_invalid`) when there is none. */
export function chooseCaption(value: JsonValue | undefined, seed: number, { epoch, position }: Place): string {
  if (!Array.isArray(value)) return checkText('caption', value);
  if (value.length === 0) throw new DataError('data_invalid', 'the list of captions is empty');
  const chosen = Math.floor(uniform(seed, captionStream + epoch, position) * value.length);
  return checkText('caption', value[chosen]);
}
