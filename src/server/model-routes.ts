/** What `/v1/models` tells of the model and of the server's limits. */
import { describeFolder } from '../tasks/model-description.ts';
import type { ServerContext } from './exchange.ts';
import { maxPictures } from './options.ts';

export function describeModel({ star, options, created }: ServerContext) {
  const { id, ...beyond } = describeFolder(star().model.folder);
  const { queue, deadline, maxBody, maxFile, maxPixels } = options;
  return {
    id,
    object: 'model',
    created,
    owned_by: 'starstack',
    // Beyond OpenAI's fields.
    ...beyond,
    limits: {
      max_queue_size: queue,
      deadline_seconds: deadline,
      max_body_bytes: maxBody * 2 ** 20,
      max_file_bytes: maxFile * 2 ** 20,
      max_pixels: maxPixels,
      max_images: maxPictures,
      max_edit_images: 1,
    },
  };
}
