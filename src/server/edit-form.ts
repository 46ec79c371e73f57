/** Edits as multipart forms: limits hold while the body is read, whatever its headers promise. */
import type { FastifyRequest } from 'fastify';
import { invalidRequest, payloadTooLarge, ServerError } from './error.ts';
import { maxPictures } from './options.ts';

/** The parts of a form. */
export interface EditForm {
  /** Typed as JSON would have them. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly images: readonly Uint8Array[];
  readonly mask?: Uint8Array;
}

/** Fields that are words; all else in a form is read as JSON: numbers, switches, lists. */
const words: ReadonlySet<string> = new Set([
  ...['prompt', 'model', 'size', 'quality', 'response_format', 'output_format', 'background', 'moderation', 'style'],
  ...['user', 'preview', 'input_fidelity', 'decoder'],
]);

/** Bytes of all files of a form together, in files of the largest size. */
const filesOfLargestSize = 4;

/**
 * The parser waits for ever in some damaged forms: for the end of a part that has begun, or for somebody to take a part whose
 * header it could not read. Bytes that are there and that it does not take for so many looks in a row are a sign of that; a
 * client that sends slowly leaves none.
 */
const looks = 4;
const lookMilliseconds = 500;

/**
 * @param signal ends the reading, which then rejects with its reason.
 * @throws ServerError and the errors of the multipart reader for what is over a limit, has no place in the form, or is no form
 */
export async function readEditForm(
  request: FastifyRequest,
  maxFileBytes: number,
  signal: AbortSignal,
): Promise<EditForm> {
  let timer: NodeJS.Timeout | undefined;
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    const { raw } = request;
    let idle = 0;
    timer = setInterval(() => {
      idle = raw.readableEnded || raw.readableFlowing === false ? idle + 1 : 0;
      if (idle === looks) reject(new Error('the parser waits for ever'));
    }, lookMilliseconds);
  });
  try {
    return await Promise.race([readParts(request, maxFileBytes), stopped]);
  } catch (error) {
    // The parser below the reader throws plain errors at what is no multipart body.
    if (error instanceof ServerError || 'statusCode' in (error as object)) throw error;
    throw invalidRequest('invalid_multipart', 'the form is cut off, or its boundary is not the one in content-type');
  } finally {
    clearInterval(timer);
  }
}

async function readParts(request: FastifyRequest, maxFileBytes: number): Promise<EditForm> {
  const fields: Record<string, unknown> = {};
  const images: Uint8Array[] = [];
  let mask: Uint8Array | undefined;
  let bytes = 0;
  for await (const part of request.parts()) {
    if (part.type === 'file') {
      const content = await part.toBuffer();
      bytes += content.length;
      if (bytes > filesOfLargestSize * maxFileBytes) throw payloadTooLarge('the files are too large together', 'image');
      if (part.fieldname === 'mask' && mask === undefined) mask = content;
      else if (['image', 'image[]'].includes(part.fieldname) && images.length < maxPictures) images.push(content);
      else throw invalidRequest('unknown_parameter', 'expected files image, image[] and one mask', part.fieldname);
    } else {
      const value = part.value as string;
      if (Object.hasOwn(fields, part.fieldname)) {
        throw invalidRequest('invalid_value', `${part.fieldname}: given twice`, part.fieldname);
      }
      if (part.valueTruncated) throw payloadTooLarge(`${part.fieldname} is too long`, part.fieldname);
      fields[part.fieldname] = words.has(part.fieldname) ? value : typed(value);
    }
  }
  return { fields, images, ...(mask === undefined ? {} : { mask }) };
}

function typed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
