/** What `/v1/models` tells of the model and of the server's limits. */
import type { ServerContext } from './exchange.ts';
import { settingsOf } from './model-settings.ts';
import { maxPictures } from './options.ts';

export function describeModel({ star, options, created }: ServerContext) {
  const { folder } = star().model;
  const { star: config, qwen, pixelDecoder } = folder;
  const { imageSize } = config.pixelEncoder;
  const { queue, deadline, maxBody, maxFile, maxPixels } = options;
  return {
    id: config.modelName,
    object: 'model',
    created,
    owned_by: 'starstack',
    // Beyond OpenAI's fields.
    architecture: { input_modalities: ['text', 'image'], output_modalities: ['text', 'image'] },
    size: `${imageSize}x${imageSize}`,
    image_tokens: config.pixelEncoder.numTokens,
    context_length: qwen.text.maxPositionEmbeddings,
    decoders: pixelDecoder?.present ? ['vq', 'diffusion'] : ['vq'],
    settings: settingsOf(folder),
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
