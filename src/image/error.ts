import { StarError } from '../errors.ts';

/** What can go wrong with an image; the codes are stable. */
export type ImageErrorCode =
  | 'image_invalid'
  | 'image_option_invalid'
  | 'image_not_found'
  | 'image_unreadable'
  | 'image_format_unsupported'
  | 'image_too_large'
  | 'image_too_small'
  | 'image_ratio_too_large'
  | 'image_corrupt'
  | 'image_alpha_missing'
  | 'image_text_invalid'
  | 'image_not_saved';

/** An image that cannot be read, used or written. */
export class ImageError extends StarError {
  declare readonly code: ImageErrorCode;

  constructor(
    code: ImageErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, details, options);
  }
}
