/** Sizes of a model that is made in a moment, and of a diffusion decoder for it that draws at twice the side. */
import type { DecoderSettings } from '../../src/training/new-model/decoder-settings.ts';
import type { ModelSettings } from '../../src/training/new-model/settings.ts';

/** Pictures of 16 pixels in 4 x 4 codes. */
export const smallModel: ModelSettings = {
  name: 'small',
  text: { hiddenSize: 32, intermediateSize: 48, layers: 3, heads: 2, keyValueHeads: 1, vocabularySize: 320 },
  vision: { depth: 2, hiddenSize: 16, intermediateSize: 24, heads: 2, patchSize: 4 },
  tokenizer: { gridSize: 4, codebookSize: 64, codebookDim: 8, ch: 32, chMult: [1, 1, 1], zChannels: 16, heads: 2 },
  stacks: [2],
};

/** Pictures of 32 pixels. */
export const smallDecoder: DecoderSettings = {
  resolution: 32,
  captionTokens: 24,
  transformer: { hiddenSize: 16, layers: 1, heads: 2, keyValueHeads: 1, feedForwardSize: 24 },
  autoencoder: { channels: [4, 8, 8], latentChannels: 4, normGroups: 2 },
};
