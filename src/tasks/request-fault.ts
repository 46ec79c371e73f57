/** Errors of the library that a different request would have avoided, in words for whoever made it. */
import { StarError } from '../errors.ts';
import { fieldNameOf } from './field-names.ts';

export interface RequestFault {
  readonly code: string;
  readonly message: string;
  /** The field at fault, where one is known. */
  readonly param: string | undefined;
}

/** By the error's own code. */
const faults: Readonly<Record<string, { readonly code: string; readonly param?: string }>> = {
  option_invalid: { code: 'invalid_value' },
  not_supported: { code: 'unsupported_value' },
  prompt_empty: { code: 'invalid_prompt', param: 'prompt' },
  prompt_invalid: { code: 'invalid_prompt' },
  prompt_too_long: { code: 'context_length_exceeded' },
  image_format_unsupported: { code: 'invalid_image', param: 'image' },
  image_corrupt: { code: 'invalid_image', param: 'image' },
  image_too_large: { code: 'payload_too_large', param: 'image' },
  image_too_small: { code: 'invalid_image', param: 'image' },
  image_ratio_too_large: { code: 'invalid_image', param: 'image' },
  mask_invalid: { code: 'invalid_mask', param: 'mask' },
  image_alpha_missing: { code: 'invalid_mask', param: 'mask' },
};

/** Undefined for all that is no fault of the request. */
export function requestFaultOf(error: unknown): RequestFault | undefined {
  if (!StarError.isInstance(error) || !Object.hasOwn(faults, error.code)) return undefined;
  const { code, param } = faults[error.code]!;
  // The library's messages begin with the function's or the task's name.
  const message = error.message.replace(/^\w+: /, '');
  const { option } = error.details;
  if (typeof option !== 'string') return { code, message, param };
  const field = fieldNameOf(option);
  return { code, message: message.replace(`option ${option}`, field), param: field };
}
