/** What a new model is made of, as a person writes it down; the `model` of `recipes/nano.yaml` is an example. */
import { z } from 'zod';
import { stackTasks } from '../../models/star/config.ts';
import { TrainingError } from '../error.ts';
import { weightTypes } from './narrow-float.ts';
import { smallestVocabulary } from './tokenizer-file.ts';

const count = z
  .int()
  .min(1)
  .max(1 << 20);

const pixels = z
  .int()
  .min(1)
  .max(2 ** 26);

const textSchema = z
  .strictObject({
    hiddenSize: count.describe('Width of the base, the stacks and the adapter.'),
    intermediateSize: count.describe('Width inside the feed-forward layers.'),
    layers: count.describe('Layers of the base.'),
    heads: count.describe('Attention heads; they divide hiddenSize.'),
    keyValueHeads: count.optional().describe('Heads of keys and values; they divide heads. Default: heads.'),
    vocabularySize: z
      .int()
      .min(smallestVocabulary)
      .max(1 << 20)
      .describe('Rows of the token embedding, the special tokens among them.'),
    tieWordEmbeddings: z.boolean().default(true).describe('Use the embedding as output head too. Default true.'),
    ropeTheta: z.number().positive().default(1e6).describe('Base of the rotary frequencies. Default 1e6.'),
    rmsNormEps: z.number().positive().default(1e-6).describe('Epsilon of the norms. Default 1e-6.'),
    contextLength: count.default(4096).describe('Most tokens of a prompt and its answer. Default 4096.'),
  })
  .describe('The base AR, Qwen2.5-VL’s text decoder.');

const visionSchema = z
  .strictObject({
    depth: count.describe('Layers.'),
    hiddenSize: count.describe('Width.'),
    intermediateSize: count.describe('Width inside the feed-forward layers.'),
    heads: count.describe('Attention heads; hiddenSize / heads is a multiple of 4.'),
    patchSize: count.max(256).default(14).describe('Pixels on a side of a patch. Default 14.'),
    mergeSize: count.max(16).default(2).describe('Patches on a side of the block that becomes one token. Default 2.'),
    temporalPatchSize: count.max(16).default(2).describe('Frames of a patch; a still picture is repeated. Default 2.'),
    windowSize: count.optional().describe('Pixels on a side of an attention window. Default: 8 patches.'),
    fullAttentionBlocks: z
      .array(z.int().min(0))
      .max(1024)
      .optional()
      .describe('Layers that see the whole picture, from 0. Default: all.'),
    minPixels: pixels.optional().describe('Fewest pixels that it sees. Default: the drawn picture’s.'),
    maxPixels: pixels.optional().describe('Most pixels that it sees. Default: the drawn picture’s.'),
  })
  .describe('The semantic encoder, Qwen2.5-VL’s vision transformer.');

const tokenizerSchema = z
  .strictObject({
    gridSize: count.max(1024).describe('Codes on a side of a picture.'),
    codebookSize: count.describe('Codes.'),
    codebookDim: count.describe('Length of a code.'),
    ch: count.describe('Channels of the first level, a multiple of normGroups.'),
    normGroups: count
      .default(32)
      .describe('Groups of the norms. Few channels a group lose colours; a small tokenizer takes 4 or 8. Default 32.'),
    chMult: z
      .array(count)
      .min(1)
      .max(8)
      .default([1, 2, 2, 4])
      .describe(
        'Factor on ch at each level; each after the first halves the sides. Default 1, 2, 2, 4: 8 pixels a code.',
      ),
    zChannels: count.describe('Channels between encoder and codes.'),
    resBlocks: count.max(64).default(1).describe('Residual blocks a level; the decoder has one more. Default 1.'),
    heads: count.default(1).describe('Attention heads at the lowest level; they divide its channels. Default 1.'),
  })
  .describe('The pixel tokenizer, STAR-VQ.');

const sampling = z
  .strictObject({
    guidance: z.number().min(0).max(1000).describe('Classifier-free guidance; 1 is off.'),
    topK: z.int().min(0).describe('0 keeps all codes.'),
    topP: z.number().gt(0).max(1).describe('1 keeps all codes.'),
    temperature: z.number().min(0).max(100).describe('0 is greedy.'),
    reasoning: z.boolean().describe('Whether the base thinks first.'),
    reasoningTemperature: z.number().min(0).max(100).describe('Of the thought; 0 is greedy.'),
  })
  .partial();

/** None leaves the stack's norm alone: for measuring what its layers are worth. */
const stackLayers = z
  .int()
  .min(0)
  .max(1 << 24);

export const modelSettingsSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'expected letters, digits, dots, dashes or underscores')
    .describe('Name in the file names: STAR_<name>.json.'),
  dtype: z.enum(weightTypes).default('bfloat16').describe('How weights are stored. Default bfloat16.'),
  text: textSchema,
  vision: visionSchema,
  tokenizer: tokenizerSchema,
  stacks: z
    .array(z.union([stackLayers, z.strictObject({ layers: stackLayers, tasks: z.array(z.enum(stackTasks)).min(1) })]))
    .min(1)
    .max(16)
    .describe(
      'Stacks of the stacked AR, one on another, whose layers are like the base’s: how many layers each has, and where ' +
        'not all tasks run through it, which (generate, edit).',
    ),
  sampling: z
    .strictObject({ generate: sampling, edit: sampling })
    .partial()
    .optional()
    .describe('How the model is best drawn with, where nothing else is asked for. Default the published settings.'),
  reasoningSuffix: z
    .string()
    .max(1024)
    .optional()
    .describe('What is appended to the answer of implicit reasoning. Default the published words.'),
  adapterDepth: count.max(64).default(2).describe('Linear layers of the pixel adapter. Default 2.'),
});

export type ModelSettings = z.input<typeof modelSettingsSchema>;
export type ResolvedModelSettings = z.output<typeof modelSettingsSchema>;

/**
 * Settings with their defaults.
 * @throws TrainingError with one line that names the setting, what was expected and what was got. Sizes that contradict
 *   each other are found later, by the parsers of the configurations made from them.
 */
export function parseModelSettings(value: unknown): ResolvedModelSettings {
  const result = modelSettingsSchema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues as [z.core.$ZodIssue];
  const place = (path: readonly PropertyKey[]) => path.map(String).join('.') || 'the whole';
  if (issue.code === 'unrecognized_keys') {
    const keys = issue.keys.map((key) => place([...issue.path, key])).join(', ');
    throw new TrainingError('training_option_invalid', `model settings: ${keys}: no such setting`, {
      keys: issue.keys,
    });
  }
  const given = issue.path.reduce<unknown>((part, key) => (part as Record<PropertyKey, unknown>)?.[key], value);
  throw new TrainingError(
    'training_option_invalid',
    `model settings: ${place(issue.path)}: ${issue.message}, got ${given === undefined ? 'nothing' : JSON.stringify(given)}`,
    { setting: place(issue.path) },
  );
}
