/** What a model tells of itself to programs that ask it: the same from a server and in a browser. */
import type { ModelFolder } from '../models/star/model-folder.ts';
import { settingsOf } from './model-settings.ts';

export function describeFolder(folder: ModelFolder) {
  const { star, qwen, pixelDecoder } = folder;
  const { imageSize, numTokens } = star.pixelEncoder;
  return {
    id: star.modelName,
    architecture: { input_modalities: ['text', 'image'], output_modalities: ['text', 'image'] },
    size: `${imageSize}x${imageSize}`,
    image_tokens: numTokens,
    context_length: qwen.text.maxPositionEmbeddings,
    decoders: pixelDecoder?.present ? ['vq', 'diffusion'] : ['vq'],
    settings: settingsOf(folder),
  };
}
