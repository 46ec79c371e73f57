/** What a new diffusion decoder is made of, as a person writes it down; the `decoder` of `recipes/nano.yaml` is an example. */
import { z } from 'zod';
import { sourcePlaces } from '../../models/star/config.ts';

const count = z
  .int()
  .min(1)
  .max(1 << 20);

const transformerSchema = z
  .strictObject({
    hiddenSize: count.describe('Width.'),
    layers: count.describe('Blocks over caption and picture together.'),
    heads: count.describe('Attention heads; hiddenSize / heads is even.'),
    keyValueHeads: count.optional().describe('Heads of keys and values; they divide heads. Default: heads.'),
    refinerLayers: count
      .default(1)
      .describe('Blocks over the caption alone, and as many over the picture alone. Default 1.'),
    feedForwardSize: count.optional().describe('Width inside the feed-forward layers. Default: 4 times hiddenSize.'),
    patchSize: count.max(64).default(2).describe('Latent pixels on a side of a patch. Default 2.'),
    ropeChannels: z
      .tuple([count, count, count])
      .optional()
      .describe(
        'Channels of a head that turn with the place in the caption, the row and the column, each even, in sum the head’s ' +
          'size. Default: thirds.',
      ),
    normEps: z.number().positive().default(1e-5).describe('Epsilon of the norms. Default 1e-5.'),
  })
  .describe('The diffusion transformer, Lumina-Image-2.0 with STAR’s changes.');

const autoencoderSchema = z
  .strictObject({
    channels: z
      .array(count)
      .min(1)
      .max(8)
      .describe('Channels of each level, multiples of normGroups; each after the first halves the sides.'),
    latentChannels: count.describe('Channels of a latent.'),
    resBlocks: count.max(64).default(1).describe('Residual blocks a level; the decoder has one more. Default 1.'),
    normGroups: count.default(8).describe('Groups of the norms. Default 8.'),
    attention: z.boolean().default(true).describe('Whether the middle has attention. Default true.'),
  })
  .describe('A new KL autoencoder, in whose latents the transformer draws.');

export const decoderSettingsSchema = z
  .strictObject({
    textEncoder: z.literal('base').default('base').describe('What reads captions: the model’s own base. Default base.'),
    resolution: count.describe('Pixels on a side of the largest picture that it has positions for.'),
    captionTokens: count.max(4096).default(64).describe('Tokens of the longest caption. Default 64.'),
    draft: z
      .boolean()
      .default(false)
      .describe(
        'Whether the transformer is told the VQ decoder’s picture of the codes beside their embeddings, which is all that the ' +
          'published one is told. Default false.',
      ),
    source: z
      .enum(sourcePlaces)
      .default('below')
      .describe(
        'Where the transformer is told an edit’s source: below the picture, as published, with as many patches again, or beside it, ' +
          'as further channels, for less work; or beside it as a `reference`: then the transformer tells where the source stays, and ' +
          'elsewhere what the draft lacks. Default below.',
      ),
    steps: count
      .max(1000)
      .optional()
      .describe('Denoising steps of its pictures where nothing else is asked for. Default 8.'),
    shift: z
      .number()
      .positive()
      .default(1)
      .describe('How much more time is spent at high noise, in training and drawing; 1 is even. Default 1.'),
    transformer: transformerSchema,
    autoencoder: autoencoderSchema.optional(),
    autoencoderFrom: z
      .string()
      .min(1)
      .optional()
      .describe(
        'In place of a new autoencoder the folder of a trained one, AutoencoderKL of diffusers (config.json and weights), as ' +
          'the vae/ of a pipeline; it is copied into the model.',
      ),
  })
  .refine(({ autoencoder, autoencoderFrom }) => (autoencoder === undefined) !== (autoencoderFrom === undefined), {
    path: ['autoencoder'],
    error: 'expected either autoencoder, with sizes, or autoencoderFrom, a folder',
  })
  .refine(({ source, draft }) => source !== 'reference' || draft, {
    path: ['draft'],
    error: 'expected true, since source is reference, and what is not the source’s is the draft’s',
  })
  .describe(
    'Sizes of a diffusion decoder. A model that has none is given one, with random weights, by the first stage that trains it.',
  );

export type DecoderSettings = z.input<typeof decoderSettingsSchema>;
export type ResolvedDecoderSettings = z.output<typeof decoderSettingsSchema>;
