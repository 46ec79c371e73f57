/**
 * The diffusion decoder of a model folder: sizes, tokenizer and where the weights lie. Nothing large is in memory; each program
 * is loaded for its turn and leaves when it is done, so that text encoder, transformer and autoencoder are never there together,
 * unless the model was loaded with `keepDecoder`.
 */
import { ConfigError } from '../models/config-error.ts';
import { readJsonIn } from '../models/config-text.ts';
import { captionForBase, compileBaseCaptions } from '../models/lumina2/base-captions.ts';
import { compileCodeMaps, compileDenoiser } from '../models/lumina2/denoiser.ts';
import { type Lumina2Folder, openLumina2Folder, openWordlessFolder } from '../models/lumina2/folder.ts';
import { compileGemma2, declareGemma2, unusedInGemma2 } from '../models/lumina2/gemma2.ts';
import { type Gemma2Config, parseGemma2Config } from '../models/lumina2/gemma2-config.ts';
import {
  type CaptionTokenizer,
  type CaptionTokens,
  defaultCaptionTokens,
  fitCaption,
  framePrompt,
  loadCaptionTokenizer,
  tokenizeCaption,
} from '../models/lumina2/gemma2-prompt.ts';
import { parseSchedulerConfig, type SchedulerConfig } from '../models/lumina2/scheduler-config.ts';
import { channelsOf } from '../models/lumina2/star-inputs.ts';
import { declareLuminaTransformer } from '../models/lumina2/transformer.ts';
import { type LuminaTransformerConfig, parseLuminaTransformerConfig } from '../models/lumina2/transformer-config.ts';
import { declareVae } from '../models/lumina2/vae.ts';
import { parseVaeConfig, type VaeConfig } from '../models/lumina2/vae-config.ts';
import { compileVaeDecoder, compileVaeEncoder } from '../models/lumina2/vae-programs.ts';
import { openPartWeights, overlayPrefixes, type PartWeights } from '../models/lumina2/weights.ts';
import type { ChatFormat } from '../models/qwen25vl/chat.ts';
import { loadChatFormatIn, loadTokenizerIn } from '../models/qwen25vl/text-folder.ts';
import { type DecoderInputs, publishedInputs } from '../models/star/config.ts';
import type { ModelFolder } from '../models/star/model-folder.ts';
import type { Session } from '../runtime/session.ts';
import { SessionCache } from '../runtime/session-cache.ts';
import type { CompiledProgram } from '../tensor/index.ts';
import { TaskError } from './error.ts';
import type { LoadedModel } from './loaded-model.ts';

export interface DiffusionDecoder {
  readonly transformer: { readonly config: LuminaTransformerConfig; readonly weights: PartWeights };
  readonly vae: { readonly config: VaeConfig; readonly weights: PartWeights };
  readonly textEncoder: CaptionReader;
  readonly inputs: DecoderInputs;
  /** Denoising steps where nothing else is asked for; undefined: what its kind is made for. */
  readonly steps: number | undefined;
  readonly tokenizer: CaptionTokenizer;
  readonly scheduler: SchedulerConfig;
}

/** What reads captions: a text encoder of the decoder's own, or the model's base. */
export type CaptionReader =
  | { readonly kind: 'gemma2'; readonly config: Gemma2Config; readonly weights: PartWeights }
  | { readonly kind: 'base'; readonly chat: ChatFormat };

/** What the decoder is found by. */
type OfFolder = Pick<LoadedModel, 'folder'>;

const opened = new WeakMap<OfFolder, Promise<DiffusionDecoder>>();

/**
 * Opens and checks all parts, once for a model.
 * @throws TaskError `not_supported` for a model without a diffusion decoder, ConfigError for a part that is missing or not
 *   supported, CheckpointError for weights that do not fit.
 */
export function openDiffusionDecoder(model: OfFolder): Promise<DiffusionDecoder> {
  const known = opened.get(model);
  if (known) return known;
  const decoder = openParts(model);
  opened.set(model, decoder);
  // What failed may be tried again.
  decoder.catch(() => opened.delete(model));
  return decoder;
}

async function openParts({ folder }: OfFolder): Promise<DiffusionDecoder> {
  const { files, pixelDecoder, star } = folder;
  if (!pixelDecoder) {
    throw new TaskError('not_supported', `${folder.configFile} names no pixel_decoder; use decoder vq`);
  }
  const worded =
    star.pixelDecoder?.textEncoder === 'base' ? undefined : await openLumina2Folder(files, pixelDecoder.folder);
  const parts = worded ?? (await openWordlessFolder(files, pixelDecoder.folder));
  const [transformer, vae, scheduler] = await Promise.all([
    readJsonIn(files, parts.transformer.configFile).then((value) =>
      parseLuminaTransformerConfig(value, parts.transformer.configFile),
    ),
    readJsonIn(files, parts.vae.configFile).then((value) => parseVaeConfig(value, parts.vae.configFile)),
    readJsonIn(files, parts.scheduler.configFile).then((value) =>
      parseSchedulerConfig(value, parts.scheduler.configFile),
    ),
  ]);
  const { captionDim, reader, tokenizer } = worded ? await openGemma(folder, worded) : await openBase(folder);
  requireFit(
    parts.transformer.configFile,
    'cap_feat_dim',
    transformer.captionDim,
    captionDim,
    worded ? undefined : 'the base, which reads the captions',
  );
  requireFit(parts.transformer.configFile, 'in_channels', transformer.latentChannels, vae.latentChannels);
  const overlay = (part: keyof typeof overlayPrefixes) => ({
    file: folder.checkpointFile,
    prefix: overlayPrefixes[part],
  });
  const inputs = star.pixelDecoder?.inputs ?? publishedInputs;
  const channels = channelsOf(inputs, star.pixelEncoder, transformer);
  return {
    transformer: {
      config: transformer,
      weights: await openPartWeights(
        parts.transformer,
        (declare) => declareLuminaTransformer(declare, transformer, channels),
        { files, folder: folder.folder, overlay: overlay('transformer') },
      ),
    },
    vae: {
      config: vae,
      weights: await openPartWeights(parts.vae, (declare) => declareVae(declare, vae), {
        files,
        folder: folder.folder,
        overlay: overlay('vae'),
      }),
    },
    textEncoder: reader,
    inputs,
    steps: star.pixelDecoder?.steps,
    tokenizer,
    scheduler,
  };
}

/** What reads captions, the size of its states and its tokenizer. */
interface OpenedReader {
  readonly captionDim: number;
  readonly reader: CaptionReader;
  readonly tokenizer: CaptionTokenizer;
}

async function openGemma(
  { files, folder }: ModelFolder,
  { textEncoder, tokenizer }: Lumina2Folder,
): Promise<OpenedReader> {
  const config = parseGemma2Config(await readJsonIn(files, textEncoder.configFile), textEncoder.configFile);
  const weights = await openPartWeights(textEncoder, (declare) => declareGemma2(declare, config), {
    files,
    folder,
    ignore: (name) => unusedInGemma2(name, config),
  });
  return {
    captionDim: config.hiddenSize,
    reader: { kind: 'gemma2', config, weights },
    tokenizer: await loadCaptionTokenizer(files, tokenizer.folder, config.vocabSize),
  };
}

async function openBase({ files, languageModelFolder, qwen }: ModelFolder): Promise<OpenedReader> {
  return {
    captionDim: qwen.text.hiddenSize,
    reader: {
      kind: 'base',
      chat: await loadChatFormatIn(files, languageModelFolder, await loadTokenizerIn(files, languageModelFolder)),
    },
    tokenizer: await loadCaptionTokenizer(files, languageModelFolder, qwen.text.vocabSize),
  };
}

function requireFit(file: string, path: string, value: number, other: number, of = 'the part beside it'): void {
  if (value === other) return;
  throw new ConfigError(file, {
    code: 'config_invalid',
    path,
    expected: `${other}, as in ${of}`,
    got: `${value}`,
  });
}

/** Pixels of a latent patch's side: a resolution is a multiple of it. */
export function resolutionStep({ transformer, vae }: DiffusionDecoder): number {
  return vae.config.downsampling * transformer.config.patchSize;
}

/** Pixels on a side of the largest picture that the transformer has positions for. */
export function largestResolution(decoder: DiffusionDecoder): number {
  const [, rows, columns] = decoder.transformer.config.ropePositions;
  const most = decoder.inputs.source === 'below' ? Math.floor(rows / 2) : rows;
  return resolutionStep(decoder) * Math.min(most, columns);
}

/** Tokens of a caption as published, or the most that the transformer has positions for: the picture's own comes after them. */
export function captionTokensOf({ transformer }: DiffusionDecoder): number {
  return Math.min(defaultCaptionTokens, transformer.config.ropePositions[0] - 1);
}

/**
 * A text as the decoder's reader takes it, in the frame in which captions are read.
 * @param length tokens, padding included
 */
export function captionTokensFor(
  { textEncoder, tokenizer }: DiffusionDecoder,
  text: string,
  length: number,
  systemPrompt?: string,
): CaptionTokens {
  if (textEncoder.kind === 'gemma2') return tokenizeCaption(framePrompt(text, systemPrompt), tokenizer, length);
  return fitCaption(captionForBase(textEncoder.chat, text, systemPrompt), tokenizer.padToken, length);
}

export type DiffusionProgram =
  | 'text encoder'
  | 'code maps'
  | 'embedding maps'
  | 'vae encoder'
  | 'denoiser'
  | 'vae decoder';

export interface DiffusionSizes {
  /** Pixels on a side of the picture. */
  readonly resolution: number;
  /** Tokens of a caption, padding included. */
  readonly captionTokens: number;
}

/** A program that is loaded. Disposing of its turn frees it, unless the model keeps its decoder. */
export interface ProgramTurn extends AsyncDisposable {
  readonly session: Session;
}

export async function loadProgram(
  model: LoadedModel,
  decoder: DiffusionDecoder,
  name: DiffusionProgram,
  sizes: DiffusionSizes,
): Promise<ProgramTurn> {
  const load = () => {
    const { weightsFolder, program } = programOf(model, decoder, name, sizes);
    return model.runtime.load(program, { weightsFolder });
  };
  if (!model.keepDecoder) {
    const session = await load();
    return { session, [Symbol.asyncDispose]: () => session.dispose() };
  }
  const size = name === 'text encoder' ? sizes.captionTokens : sizes.resolution;
  return { session: await keptSession(decoder, `${name} ${size}`, load), [Symbol.asyncDispose]: async () => {} };
}

/** Sessions that stay until the runtime goes. */
const keptSessions = new WeakMap<DiffusionDecoder, SessionCache>();

function keptSession(decoder: DiffusionDecoder, key: string, load: () => Promise<Session>): Promise<Session> {
  const sessions = keptSessions.get(decoder) ?? new SessionCache();
  keptSessions.set(decoder, sessions);
  return sessions.get(key, load);
}

function programOf(
  { folder, weights }: LoadedModel,
  { transformer, vae, textEncoder, inputs }: DiffusionDecoder,
  name: DiffusionProgram,
  { resolution, captionTokens }: DiffusionSizes,
): { readonly program: CompiledProgram; readonly weightsFolder: string } {
  const { pixelEncoder } = folder.star;
  const side = resolution / vae.config.downsampling;
  const grid = { rows: side, columns: side };
  switch (name) {
    case 'text encoder':
      if (textEncoder.kind === 'base') {
        return {
          program: compileBaseCaptions(weights.declare, folder.qwen, captionTokens),
          weightsFolder: weights.folder,
        };
      }
      return {
        program: compileGemma2(textEncoder.weights.declare, textEncoder.config, captionTokens),
        weightsFolder: textEncoder.weights.folder,
      };
    case 'code maps':
    case 'embedding maps': {
      const draftSize = inputs.source === 'reference' ? resolution : undefined;
      const sizes = { gridSize: pixelEncoder.gridSize, height: side, width: side, draft: inputs.draft, draftSize };
      const from = name === 'code maps' ? 'codes' : 'embeddings';
      return {
        program: compileCodeMaps(weights.declare, pixelEncoder, sizes, from),
        weightsFolder: weights.folder,
      };
    }
    case 'vae encoder':
      return {
        program: compileVaeEncoder(vae.weights.declare, vae.config, grid),
        weightsFolder: vae.weights.folder,
      };
    case 'denoiser':
      return {
        program: compileDenoiser(transformer.weights.declare, transformer.config, {
          ...channelsOf(inputs, pixelEncoder, transformer.config),
          height: side,
          width: side,
        }),
        weightsFolder: transformer.weights.folder,
      };
    case 'vae decoder':
      return {
        program: compileVaeDecoder(vae.weights.declare, vae.config, grid),
        weightsFolder: vae.weights.folder,
      };
  }
}
