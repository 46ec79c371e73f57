/** The server's answers, checked: what is read here comes from the network. */
import { BackendError, type FailureKind } from './backend-error.ts';
import { isRecord, type ModelDescription, numberOf, settingsFrom } from './model-description.ts';

type Fields = Readonly<Record<string, unknown>>;

const kinds: Readonly<Record<string, FailureKind>> = {
  model_loading: 'loading',
  shutting_down: 'shutting-down',
  queue_full: 'busy',
  deadline_exceeded: 'late',
};

/** @param status 200 for an error in the middle of a stream */
export function errorOf(status: number, body: unknown, retryAfter?: number): BackendError {
  const error = isRecord(body) && isRecord(body.error) ? body.error : {};
  const message = typeof error.message === 'string' ? error.message : `HTTP ${status}`;
  const setting = typeof error.param === 'string' ? { setting: error.param } : {};
  const details = { ...setting, ...(retryAfter === undefined ? {} : { retryAfter }) };
  return new BackendError(kinds[String(error.code)] ?? kindOf(status, error), message, details);
}

function kindOf(status: number, { type }: Fields): FailureKind {
  if (status === 401) return 'unauthorized';
  if (status === 429) return 'busy';
  if (status === 503) return 'loading';
  if (status === 504) return 'late';
  if ((status >= 400 && status < 500) || type === 'invalid_request_error') return 'refused';
  return 'failed';
}

/** @throws BackendError where the answer is no list of models of Starstack's */
export function modelOf(body: unknown): ModelDescription {
  return descriptionOf(isRecord(body) && Array.isArray(body.data) ? body.data[0] : undefined);
}

/** @throws BackendError where this is no model of Starstack's */
export function descriptionOf(model: unknown): ModelDescription {
  const size = isRecord(model) ? /^(\d+)x/.exec(String(model.size))?.[1] : undefined;
  if (!isRecord(model) || typeof model.id !== 'string' || size === undefined) {
    throw new BackendError('failed', 'expected a model of Starstack with its size, got something else');
  }
  const limits = isRecord(model.limits) ? model.limits : {};
  const settings = isRecord(model.settings) ? model.settings : {};
  const decoders: readonly unknown[] = Array.isArray(model.decoders) ? model.decoders : ['vq'];
  const pictures = (fields: unknown) => {
    const { decoder, ...others } = settingsFrom(fields);
    if (decoder?.type !== 'choice') return others;
    const choices = decoder.choices.filter((choice) => decoders.includes(choice));
    return { ...others, decoder: { ...decoder, choices } };
  };
  return {
    id: model.id,
    imageSize: Number(size),
    imageTokens: numberOf(model.image_tokens) ?? 1,
    maxPictures: numberOf(limits.max_images) ?? 1,
    maxQueue: numberOf(limits.max_queue_size) ?? 1,
    notes: [],
    settings: {
      generate: pictures(settings.generate),
      edit: pictures(settings.edit),
      understand: settingsFrom(settings.understand),
    },
  };
}

/** The fields of an event. @throws BackendError for an event that tells of an error */
export function fieldsOf(data: string): Fields {
  let fields: unknown;
  try {
    fields = JSON.parse(data);
  } catch (cause) {
    throw new BackendError('failed', 'expected an event with JSON, got something else', { cause });
  }
  if (!isRecord(fields)) throw new BackendError('failed', 'expected an event with an object, got something else');
  if ('error' in fields) throw errorOf(200, fields);
  return fields;
}

export function pngOf(base64: unknown): Blob {
  if (typeof base64 !== 'string') throw new BackendError('failed', 'expected a picture in the event, got none');
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: 'image/png' });
}

export function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function warningsOf(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((warning: unknown) => (isRecord(warning) ? [stringOf(warning.message)] : []));
}
