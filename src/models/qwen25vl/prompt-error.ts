import { StarError } from '../../errors.ts';

/**
 * - `prompt_too_long`: a text, a conversation or a rendered prompt over its limit.
 * - `prompt_invalid`: messages, token ids or image counts that do not fit together.
 * - `template_unsupported`: the folder's chat template fails, or does something to the texts that cannot be followed.
 */
export type PromptErrorCode = 'prompt_too_long' | 'prompt_invalid' | 'template_unsupported';

/** A prompt that cannot be made into tokens. */
export class PromptError extends StarError {
  declare readonly code: PromptErrorCode;

  constructor(
    code: PromptErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, details, options);
  }
}
