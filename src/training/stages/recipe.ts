/** A recipe: a model, the world it learns from, and its stages, in one YAML file whose every field is checked. */
import { z } from 'zod';
import {
  captionedSchema,
  conversationsSchema,
  editedSchema,
  editPairsSchema,
  imageTextSchema,
} from '../../data/sources/options.ts';
import { fullWorld, nanoWorld, type WorldProfile, worldProfileSchema } from '../../data/world/profile.ts';
import { alignmentLosses } from '../alignment-loss.ts';
import { pixelLosses } from '../autoencoder-loss.ts';
import { decoderSettingsSchema } from '../new-model/decoder-settings.ts';
import { derivedModelSchema } from '../new-model/derive-model.ts';
import { modelSettingsSchema } from '../new-model/settings.ts';
import { trainedParts } from '../picture-loss.ts';
import { type Contradiction, recipeSchema, refuseEach } from '../recipe.ts';
import { tokenizerParts } from '../tokenizer-loss.ts';
import { understandingParts } from '../understanding-loss.ts';

const share = z.number().min(0).max(1);
const whole = (least: number) => z.int().min(least);

const worlds: Readonly<Record<string, WorldProfile>> = { full: fullWorld, nano: nanoWorld };

const worldSchema = z
  .looseObject({ base: z.enum(['full', 'nano']).describe('The profile to start from: full or nano.') })
  .transform(({ base, ...changes }, context) => {
    const parsed = worldProfileSchema.safeParse({ ...worlds[base], name: base, ...changes });
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) context.addIssue({ ...issue, input: changes } as never);
    return z.NEVER;
  })
  .describe('The closed world: a base profile, and what differs from it.');

const folderSchema = z.string().min(1);

/** One of three forms, told apart first: a union would say of a wrong field no more than that none of the forms fits. */
const modelSchema = z
  .union([z.string(), z.looseObject({})], 'expected a folder, or settings of a model')
  .transform((value, context) => {
    const form = typeof value === 'string' ? folderSchema : 'from' in value ? derivedModelSchema : modelSettingsSchema;
    const parsed = form.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) context.addIssue({ ...issue } as never);
    return z.NEVER;
  })
  .describe('Sizes of a new model, parts of another for a new one, or the folder of one that is there.');

const pictureData = z
  .strictObject({ train: imageTextSchema, heldOut: imageTextSchema })
  .optional()
  .describe(
    'Pictures with captions to learn from, and held-out ones that previews measure. Default: the closed world.',
  );

const captionedData = z
  .strictObject({ train: captionedSchema, heldOut: captionedSchema })
  .optional()
  .describe(
    'Pictures with captions to learn from, and held-out ones that previews measure; of kind `tokens` where starstack ' +
      'tokenize has coded them with the model’s own tokenizer. Default: the closed world.',
  );

export const tokenizerRecipe = recipeSchema({
  data: pictureData,
  commitmentWeight: z.number().min(0).default(0.25).describe('Draws features to codes. Default 0.25, as published.'),
  entropyWeight: z.number().min(0).default(0).describe('Sharp choices and even use of codes. Default 0: off.'),
  entropyTemperature: z.number().positive().default(0.01).describe('Of its softmax. Default 0.01, as published.'),
  perceptualWeight: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'Of the perceptual loss: what the semantic encoder, which must be trained before, sees in pictures. Default 0: off.',
    ),
  adversarial: z
    .strictObject({
      weight: z.number().positive().default(0.5).describe('Of the tokenizer’s share. Default 0.5, as LlamaGen.'),
      from: share.default(0.5).describe('Part of the training after which it counts. Default 0.5.'),
      channels: z.int().min(8).multipleOf(8).default(64).describe('Of the discriminator’s first layer. Default 64.'),
      layers: whole(1).default(3).describe('Of the discriminator that halve the picture. Default 3, PatchGAN’s.'),
    })
    .optional()
    .describe('The adversarial loss: a discriminator learns to tell drawn patches from real ones. Default none.'),
  quantizeFrom: share
    .default(0.1)
    .describe(
      'Part of the training in which the decoder is given features in place of codes; then the codebook is laid over ' +
        'the features that have learned to draw. Default 0.1.',
    ),
  reviveEvery: whole(0).default(100).describe('Steps between revivals of dead codes; 0 leaves them. Default 100.'),
  reviveUntil: share.default(0.8).describe('Part of the training after which none is revived. Default 0.8.'),
  train: z
    .enum(tokenizerParts)
    .default('all')
    .describe('What is trained: all, or the decoder alone, which leaves the codes as they are. Default all.'),
  heldOut: whole(1).default(256).describe('Held-out pictures that previews measure. Default 256.'),
});

export const semanticRecipe = recipeSchema({
  heldOut: whole(1).default(256).describe('Held-out pictures that previews measure. Default 256.'),
});

export const understandingRecipe = recipeSchema({
  data: z
    .strictObject({ train: conversationsSchema, heldOut: conversationsSchema })
    .optional()
    .describe(
      'JSON Lines of conversations to learn from, and held-out ones that previews measure: {image, conversations: ' +
        '[{from: human or gpt, value}]} with the mark <image>, or {image, messages: [{role, content}]}; see ' +
        'data/sources/conversations.ts. A picture is padded to the size of the model’s pictures unless square says ' +
        'otherwise. Default: the closed world.',
    ),
  pictures: whole(1).describe(
    'Rows of a batch that show a picture; the others are text. Of real conversations, one a row in the former.',
  ),
  tokens: whole(64).describe(
    'Tokens of a row: as many conversations as fit share it. Real ones are cut after the last turn that fits; where ' +
      'not even the first one does, they are skipped.',
  ),
  train: z
    .enum(understandingParts)
    .default('all')
    .describe('What is trained: all, or the base alone on the semantic encoder as it is. Default all.'),
  heldOutBatches: whole(1).default(16).describe('Held-out batches that previews measure. Default 16.'),
});

const promptTokens = whole(16).describe('Tokens of the longest prompt with the chat template around it.');

const captionMix = z
  .strictObject({
    geneval: z.number().min(0),
    free: z.number().min(0),
    dense: z.number().min(0),
    plan: z.number().min(0).default(0),
  })
  .default({ geneval: 2, free: 2, dense: 0, plan: 0 })
  .describe(
    'How often each kind of caption is the prompt; `plan` is what the base thinks of a caption when it reasons. Default ' +
      '2, 2, 0, 0. One that is too long becomes geneval.',
  );

export const adapterRecipe = recipeSchema({
  promptTokens,
  embeddingWeight: z
    .number()
    .min(0)
    .default(1)
    .describe('Of the distance between what the adapter writes and the embedding of the place’s word. Default 1.'),
  heldOut: whole(1).default(256).describe('Held-out pictures that previews measure. Default 256.'),
  captions: captionMix,
});

const editData = z
  .strictObject({ train: editPairsSchema, heldOut: editPairsSchema })
  .optional()
  .describe('Pairs of pictures with an instruction between them, beside data. Default: the closed world.');

const pictureFields = {
  data: captionedData,
  captionDropout: share.default(0.1).describe('Share of prompts that are blanked, for guidance. Default 0.1.'),
  start: z
    .enum(['base', 'model', 'random'])
    .default('model')
    .describe(
      'What the stacks start as: the base’s last layers (then the head starts from the codebook), what the model has, or ' +
        'random numbers. Default model.',
    ),
  promptTokens,
  train: z
    .enum(trainedParts)
    .default('all')
    .describe(
      'What is trained: all picture parts; stacks and head on a frozen adapter, which is faster, since no gradient goes ' +
        'through the base then; the last stack alone on frozen ones; or the base too, which costs what it understood. ' +
        'Default all.',
    ),
  wordWeight: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'Of what stands at each place, which the base’s own head is to read in the stack’s states: so the prompt’s nouns ' +
        'reach the picture. In the closed world alone. Default 0: off.',
    ),
  smoothing: z
    .strictObject({
      weight: share.describe('Part of the loss whose targets are spread.'),
      distance: z
        .number()
        .positive()
        .describe('Squared distance of code embeddings at which a code takes 1/e of the target’s share.'),
    })
    .optional()
    .describe('Label smoothing over codes that look alike. Default none.'),
  heldOut: whole(1).default(128).describe('Held-out samples that previews measure. Default 128.'),
  captions: captionMix,
};

interface PictureSources {
  readonly data?: unknown;
  readonly editData?: unknown;
  readonly wordWeight?: number;
  readonly plans?: number;
}

/** What the closed world alone can teach, asked for beside data of files. */
function* worldOnly({ data, wordWeight = 0, plans = 0 }: PictureSources): Generator<Contradiction> {
  if (!data) return;
  const expected = 'expected 0 with data of your own';
  if (wordWeight > 0) yield ['wordWeight', `${expected}: what stands where is known in the closed world alone`];
  if (plans > 0) yield ['plans', `${expected}: plans tell edits of the closed world`];
}

function* bothOrNeither({ data, editData }: PictureSources): Generator<Contradiction> {
  if ((data === undefined) === (editData === undefined)) return;
  yield [data ? 'editData' : 'data', 'expected both data and editData, or neither for the closed world'];
}

export const generationRecipe = recipeSchema(pictureFields).superRefine(refuseEach(worldOnly));

export const autoencoderRecipe = recipeSchema({
  data: pictureData,
  resolution: whole(1).describe('Pixels on a side of the pictures; a multiple of the decoder’s patch.'),
  pixels: z
    .enum(pixelLosses)
    .default('absolute')
    .describe('How far pixels are apart: absolute differences, which keep edges, or squared ones. Default absolute.'),
  klWeight: z
    .number()
    .min(0)
    .default(1e-6)
    .describe('Of the divergence of a picture’s latents from the normal distribution, their sum. Default 1e-6.'),
  perceptualWeight: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'Of the perceptual loss: what the semantic encoder, which must be trained before, sees in pictures, made smaller to ' +
        'its own size. Default 0: off.',
    ),
  heldOut: whole(1)
    .default(128)
    .describe('Held-out pictures that previews measure, and on which the latents’ scale is measured. Default 128.'),
});

const plans = share
  .default(0)
  .describe(
    'Share of edits that are told by what the base thinks of the instruction when it reasons, the plan of the target. In ' +
      'the closed world alone. Default 0.',
  );

export const alignmentRecipe = recipeSchema({
  data: pictureData,
  editData,
  edits: whole(0)
    .default(0)
    .describe(
      'Samples of a batch that show an edited picture with its source; the others show codes alone. Default 0.',
    ),
  plans,
  resolution: whole(1).describe('Pixels on a side of the pictures; a multiple of 16 for the published decoder.'),
  captionTokens: whole(1)
    .optional()
    .describe(
      'Tokens of a caption, padding included; longer ones are cut. Default 256, or as many as the decoder has.',
    ),
  density: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('uniform') }),
      z.strictObject({
        kind: z.literal('logit-normal'),
        mean: z.number().default(0).describe('Of the normal number; more than 0 shows less noise. Default 0.'),
        deviation: z.number().positive().default(1).describe('Of the normal number. Default 1.'),
      }),
    ])
    .default({ kind: 'uniform' })
    .describe(
      'How often each place in the scheduler’s shifted noise levels is drawn: uniform or logit-normal. Default uniform.',
    ),
  latents: z
    .enum(['drawn', 'mode'])
    .default('drawn')
    .describe(
      'Latents of pictures: drawn from the autoencoder’s Gaussian, as published, or its mode, which is less noise to learn ' +
        'from. Default drawn.',
    ),
  loss: z
    .enum(alignmentLosses)
    .default('squared')
    .describe(
      'How errors of samples are joined: squared, their mean, as published, or psnr, the mean of them in decibels, by ' +
        'which good pictures count as much as bad ones. Default squared.',
    ),
  conditionDropout: z
    .number()
    .min(0)
    .max(1 / 3)
    .default(0.05)
    .describe(
      'u of the published dropout, for guidance: captions are dropped with 2u, sources with 2u, both with u. Default 0.05.',
    ),
  codesDropout: share
    .default(0.05)
    .describe('Share of samples without codes; where it is u, captions are dropped along with them. Default 0.05.'),
  misreading: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'Codes of edits are shown as others that look alike, since a model that edits does not draw the very codes of what ' +
        'stays: each sample’s codes are drawn as smoothing spreads targets, by a distance up to this. Default 0: never.',
    ),
  heldOut: whole(1).default(32).describe('Held-out samples that previews measure. Default 32.'),
  captions: captionMix,
}).superRefine(
  refuseEach(function* (recipe) {
    const { editData, edits, batch, plans, misreading } = recipe;
    if (edits > batch) yield ['edits', `expected 0 to the batch, ${batch}`];
    if (edits === 0 && editData) yield ['edits', 'expected at least 1 where there is editData'];
    if (edits === 0 && plans > 0) yield ['plans', 'expected 0 where edits is 0: plans tell edits'];
    if (edits === 0 && misreading > 0) yield ['misreading', 'expected 0 where edits is 0: codes of edits are misread'];
    if (edits > 0) yield* bothOrNeither(recipe);
    yield* worldOnly(recipe);
  }),
);

export const instructionRecipe = recipeSchema({
  ...pictureFields,
  editData: z
    .strictObject({ train: editedSchema, heldOut: editedSchema })
    .optional()
    .describe(
      'Pairs of pictures with an instruction between them, beside data; or their codes, of kind `tokens`. Default: ' +
        'the closed world.',
    ),
  edits: whole(1).describe('Samples of a batch that edit a picture; the others draw one.'),
  plans,
}).superRefine(
  refuseEach(function* (recipe) {
    if (recipe.edits > recipe.batch) yield ['edits', `expected 1 to the batch, ${recipe.batch}`];
    yield* bothOrNeither(recipe);
    yield* worldOnly(recipe);
  }),
);

export const trainingRecipeSchema = z
  .strictObject({
    model: modelSchema,
    world: worldSchema.default(nanoWorld),
    decoder: decoderSettingsSchema.optional(),
    decoderFrom: z
      .string()
      .min(1)
      .optional()
      .describe(
        'In place of a new decoder a trained Lumina-Image-2.0: its folder, in the layout of diffusers, in the model folder ' +
          '(checkpoints/lumina-image2). The stage alignment widens it for codes and sources, as published, and trains it.',
      ),
    vocabularyScenes: whole(1)
      .default(6000)
      .describe('Scenes whose talk a new model’s text tokenizer is trained on. Default 6000.'),
    stages: z.strictObject({
      semantic: semanticRecipe.optional(),
      tokenizer: tokenizerRecipe.optional(),
      understanding: understandingRecipe.optional(),
      adapter: adapterRecipe.optional(),
      generation: generationRecipe.optional(),
      autoencoder: autoencoderRecipe.optional(),
      alignment: alignmentRecipe.optional(),
      instruction: instructionRecipe.optional(),
    }),
  })
  .refine(({ decoder, decoderFrom }) => decoder === undefined || decoderFrom === undefined, {
    path: ['decoderFrom'],
    error: 'expected decoder, sizes of a new one, or decoderFrom, the folder of a trained one, not both',
  });

export type TrainingRecipe = z.output<typeof trainingRecipeSchema>;
export type StageName = keyof TrainingRecipe['stages'];
export const stageNamesInOrder: readonly StageName[] = [
  'semantic',
  'tokenizer',
  'understanding',
  'adapter',
  'generation',
  'autoencoder',
  'alignment',
  'instruction',
];
