/** Runs one stage of a recipe on a model folder, and puts what it learned into the model. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { openSafetensors } from '../../checkpoint/open.ts';
import { pictureConversations, textConversations } from '../../data/world/conversations.ts';
import { fullWorld } from '../../data/world/profile.ts';
import { World } from '../../data/world/world.ts';
import { buildGenerationPrompt } from '../../models/star/prompt.ts';
import type { DeviceRequest } from '../../runtime/index.ts';
import { openDiffusionDecoder } from '../../tasks/diffusion-decoder.ts';
import { type LoadOptions, StarModel } from '../../tasks/star-model.ts';
import { discriminatorPrefix } from '../adversarial-loss.ts';
import { ensureDecoder } from '../new-model/add-decoder.ts';
import { adoptDecoder } from '../new-model/adopt-decoder.ts';
import { deriveModelFolder } from '../new-model/derive-model.ts';
import { saveLatentScale } from '../new-model/latent-scale.ts';
import { createModelFolder } from '../new-model/new-model.ts';
import { requireSavable, saveModel } from '../new-model/save-model.ts';
import { roleNames, trainTokenizer } from '../new-model/tokenizer-file.ts';
import type { TrainingTask } from '../task.ts';
import { type TrainOptions, train } from '../trainer.ts';
import type { TrainingEvent, TrainingResult } from '../training-events.ts';
import { adapterTask } from './adapter-task.ts';
import { type AlignmentData, alignmentTask, requireDecoder } from './alignment-task.ts';
import { autoencoderTask, measureLatents } from './autoencoder-task.ts';
import { drawnPicture } from './drawn-picture.ts';
import { generationTask } from './generation-task.ts';
import { instructionTask } from './instruction-task.ts';
import { tokenizerFingerprint } from './picture-codes.ts';
import { noStage } from './plan.ts';
import { realConversations } from './real-conversations.ts';
import { realCaptionedPictures, realInstructions, realPictures } from './real-data.ts';
import type { StageName, TrainingRecipe } from './recipe.ts';
import { placeWords, semanticTask } from './semantic-task.ts';
import { type TokenizerData, tokenizerTask } from './tokenizer-task.ts';
import { understandingTask, worldConversations } from './understanding-task.ts';
import { conversationOptions, worldCaptionedPictures, worldInstructions, worldPictures } from './world-data.ts';

export interface RunStageOptions extends Pick<TrainOptions, 'resume' | 'allowChanges' | 'signal'> {
  /** Folder of the training: `model/` (where the recipe makes a new one) and a folder for each stage. */
  readonly folder: string;
  /** A model's folder, in place of the recipe's model. */
  readonly model?: string | undefined;
  readonly threads?: number | undefined;
  readonly device?: DeviceRequest | undefined;
}

/**
 * Trains a stage to its end, or until the signal; at the end its weights are written into the model. Stages before it must
 * be done: each reads the model as it finds it. A model without a diffusion decoder is given the recipe's by the first stage
 * that trains one.
 * @throws TrainingError for a stage that the recipe does not have, for a checkpoint that cannot be written (`.pt`) and for a
 *   stage whose part the model lacks, and what `train` throws.
 */
export async function* runStage(
  recipe: TrainingRecipe,
  stage: StageName,
  options: RunStageOptions,
): AsyncGenerator<TrainingEvent, TrainingResult, undefined> {
  const settings = recipe.stages[stage];
  if (!settings) throw noStage(recipe, stage);
  let opened: Promise<World> | undefined;
  const world = () => (opened ??= World.open(recipe.world));
  const folder = options.model ?? (await modelFolder(recipe, world, options.folder));
  const { decoder, decoderFrom } = recipe;
  if (decoder && (stage === 'autoencoder' || stage === 'alignment')) await ensureDecoder(folder, decoder);
  if (decoderFrom !== undefined && stage === 'alignment') await adoptDecoder(folder, decoderFrom);
  const runtime = { device: options.device ?? 'cpu', threads: options.threads };
  await using model = await StarModel.open(folder, runtime);
  requireSavable(model.folder);
  const task = await taskOf(recipe, stage, model, world);
  const result = yield* train(task, settings, {
    folder: path.join(options.folder, stage),
    resume: options.resume,
    allowChanges: options.allowChanges,
    runtime: model.runtime,
    signal: options.signal,
  });
  if (result.stopped === 'finished') {
    await keepTrained(folder, result.checkpoint, settings.ema > 0);
    if (stage === 'autoencoder') await fitLatentScale(recipe, folder, world, runtime);
  }
  return result;
}

async function taskOf(
  recipe: TrainingRecipe,
  stage: StageName,
  model: StarModel,
  world: () => Promise<World>,
): Promise<TrainingTask> {
  const { pixelEncoder } = model.folder.star;
  const { imageSize: size, gridSize: grid } = pixelEncoder;
  const { stages } = recipe;
  // Previews run whole batches: so many samples that none is left over.
  const wholeBatches = (heldOut: number, batch: number) => Math.ceil(heldOut / batch) * batch;
  let fingerprint: Promise<string> | undefined;
  const tokenizer = () => (fingerprint ??= tokenizerFingerprint(model));
  const length = (text: string) => buildGenerationPrompt(model.chat, text).conditional.length;
  const tooLong = (around: number, most: number) => (text: string) => {
    const tokens = length(text) + around;
    return tokens <= most ? undefined : `a prompt of ${tokens} tokens, promptTokens is ${most}`;
  };
  switch (stage) {
    case 'tokenizer': {
      const { data, seed, heldOut, batch, steps, accumulate, ...settings } = stages.tokenizer!;
      const pictures = data
        ? await realPictures(data, { seed, size, count: wholeBatches(heldOut, batch) })
        : worldPictures(await world(), seed, size, wholeBatches(heldOut, batch));
      return tokenizerTask(model, pictures, {
        batch,
        seed,
        accumulate,
        commitmentWeight: settings.commitmentWeight,
        entropyWeight: settings.entropyWeight,
        entropyTemperature: settings.entropyTemperature,
        perceptualWeight: settings.perceptualWeight,
        ...(settings.adversarial
          ? { adversarial: { ...settings.adversarial, from: Math.floor(settings.adversarial.from * steps) } }
          : {}),
        train: settings.train,
        quantizeFrom: Math.floor(settings.quantizeFrom * steps),
        reviveEvery: settings.reviveEvery,
        reviveUntil: Math.floor(settings.reviveUntil * steps),
      });
    }
    case 'semantic': {
      const { batch, seed, heldOut } = stages.semantic!;
      return semanticTask(model, await world(), { batch, seed, heldOut: wholeBatches(heldOut, batch) });
    }
    case 'understanding': {
      const { data, batch, pictures, tokens, seed, heldOutBatches, train: parts } = stages.understanding!;
      const rows = { batch, pictures, tokens, seed, heldOutBatches, train: parts };
      const conversations = data
        ? await realConversations(data, model, rows)
        : worldConversations(model, await world(), rows);
      return understandingTask(model, conversations, rows);
    }
    case 'adapter': {
      const { batch, seed, heldOut, promptTokens, embeddingWeight, captions } = stages.adapter!;
      const fits = tooLong(0, promptTokens);
      const made = { seed, size, grid, mix: captions, fits: (text: string) => fits(text) === undefined };
      const pictures = worldCaptionedPictures(await world(), made, wholeBatches(heldOut, batch), []);
      return adapterTask(model, pictures, { batch, promptTokens, embeddingWeight, seed });
    }
    case 'generation': {
      const { data, batch, promptTokens, captions, heldOut, ...settings } = stages.generation!;
      const { seed } = settings;
      const count = wholeBatches(heldOut, batch);
      const fits = tooLong(0, promptTokens);
      const pictures = data
        ? await realCaptionedPictures(data, { seed, size, count, fits, tokenizer }, [])
        : worldCaptionedPictures(
            await world(),
            { seed, size, grid, mix: captions, fits: (text) => fits(text) === undefined },
            count,
            previewPrompts,
          );
      return generationTask(model, pictures, { batch, promptTokens, ...pictureSettings(settings) });
    }
    case 'autoencoder': {
      const { batch, seed, resolution, pixels, klWeight, perceptualWeight } = stages.autoencoder!;
      requireDecoder(model.folder, stage);
      const decoder = await openDiffusionDecoder(model);
      const pictures = await autoencoderData(stages.autoencoder!, world);
      return autoencoderTask(model, decoder, pictures, {
        batch,
        seed,
        resolution,
        pixels,
        klWeight,
        perceptualWeight,
      });
    }
    case 'alignment': {
      const { conditionDropout, codesDropout, heldOut, ...settings } = stages.alignment!;
      const { batch, resolution, captionTokens, density, latents, loss, misreading, seed } = settings;
      requireDecoder(model.folder);
      const decoder = await openDiffusionDecoder(model);
      const samples = await alignmentData(stages.alignment!, { heldOut: wholeBatches(heldOut, batch), grid }, world);
      const dropout = { conditions: conditionDropout, codes: codesDropout };
      return alignmentTask(model, decoder, samples, {
        ...{ batch, resolution, captionTokens, density, latents, dropout, loss, misreading, seed },
      });
    }
    case 'instruction': {
      const { data, editData, batch, edits, plans, promptTokens, ...settings } = stages.instruction!;
      const { seed } = settings;
      const fits = tooLong(0, promptTokens);
      // Around the source's blocks: two starts, two ends, a newline.
      const fitsEdit = tooLong(pixelEncoder.numTokens + drawnPicture(model).tokens + 5, promptTokens);
      const count = wholeBatches(settings.heldOut, batch);
      const samples =
        data && editData
          ? await realInstructions(data, editData, { seed, size, batch, edits, count, fits, fitsEdit, tokenizer })
          : worldInstructions(
              await world(),
              { seed, size, grid, mix: settings.captions, fits: (text) => fits(text) === undefined },
              { batch, edits, plans, heldOut: count, fits: (text) => fitsEdit(text) === undefined },
            );
      return instructionTask(model, samples, { batch, edits, promptTokens, ...pictureSettings(settings) });
    }
  }
}

type PictureRecipe = Omit<NonNullable<TrainingRecipe['stages']['generation']>, 'data'>;

function pictureSettings({
  train,
  captionDropout,
  seed,
  start,
  wordWeight,
  smoothing,
}: Omit<PictureRecipe, 'batch' | 'promptTokens' | 'captions' | 'heldOut'>) {
  return { captionDropout, seed, start, train, wordWeight, smoothing };
}

type AutoencoderRecipe = NonNullable<TrainingRecipe['stages']['autoencoder']>;

async function autoencoderData(
  { data, seed, resolution: size, heldOut, batch }: AutoencoderRecipe,
  world: () => Promise<World>,
): Promise<TokenizerData> {
  const count = Math.ceil(heldOut / batch) * batch;
  return data ? realPictures(data, { seed, size, count }) : worldPictures(await world(), seed, size, count);
}

/** The trained autoencoder's latents are measured on held-out pictures, so that the transformer sees them with variance 1. */
async function fitLatentScale(
  recipe: TrainingRecipe,
  folder: string,
  world: () => Promise<World>,
  runtime: LoadOptions,
): Promise<void> {
  const settings = recipe.stages.autoencoder!;
  // Opened anew: weights lie elsewhere in the file that was written.
  await using model = await StarModel.open(folder, runtime);
  const { heldOut } = await autoencoderData(settings, world);
  const scale = await measureLatents(model, await openDiffusionDecoder(model), heldOut, settings.resolution);
  await saveLatentScale(model.folder, scale);
}

/** Captions of any length: what the decoder has no place for is cut, as the pipeline does. */
async function alignmentData(
  recipe: NonNullable<TrainingRecipe['stages']['alignment']>,
  { heldOut, grid }: { readonly heldOut: number; readonly grid: number },
  world: () => Promise<World>,
): Promise<AlignmentData> {
  const { data, editData, batch, edits, plans, seed, resolution: size, captions } = recipe;
  const real = { seed, size, count: heldOut, fits: () => undefined };
  if (data && editData) {
    return realInstructions(data, editData, { ...real, batch, edits, fitsEdit: () => undefined });
  }
  if (data) return realCaptionedPictures(data, real, []);
  const made = { seed, size, grid, mix: captions, fits: () => true };
  if (edits === 0) return worldCaptionedPictures(await world(), made, heldOut, []);
  return worldInstructions(await world(), made, { batch, edits, plans, heldOut, fits: () => true });
}

const previewPrompts = [
  'a photo of an apple',
  'a photo of a red apple',
  'a photo of two red apples',
  'a photo of a dog',
  'a photo of a blue car',
  'a photo of three donuts',
  'a photo of a cat left of a tv',
  'a photo of a green cup and a yellow kite',
  'a photo of a pizza below an umbrella',
];

/** The folder that the recipe names, or a new model in `<folder>/model`. */
async function modelFolder(recipe: TrainingRecipe, world: () => Promise<World>, folder: string): Promise<string> {
  if (typeof recipe.model === 'string') return recipe.model;
  const { model } = recipe;
  const made = path.join(folder, 'model');
  // A model's configuration is written last.
  const there = await readdir(made).catch(() => []);
  if (there.some((name) => /^STAR_.*\.json$/.test(name))) return made;
  if ('from' in model) {
    await deriveModelFolder(made, model);
    return made;
  }
  // Each word of a place must be one token.
  const { gridSize } = model.tokenizer;
  const wholeWords = [...roleNames, ...placeWords(fullWorld, gridSize)];
  const { vocabularySize } = model.text;
  const texts = tokenizerTexts(await world(), gridSize, recipe.vocabularyScenes);
  await createModelFolder(made, model, { tokenizer: trainTokenizer(texts, { vocabularySize, wholeWords }) });
  return made;
}

/** What the tokenizer of texts is trained on: the world's own talk. */
function* tokenizerTexts(world: World, grid: number, scenes: number): Generator<string> {
  const options = conversationOptions(world, grid, 'exclude');
  for (let index = 0; index < scenes; index++) {
    const scene = (turn: number) => world.scene(7, 64 * index + turn, 'exclude');
    const sources = [pictureConversations(scene(0), index, options), textConversations(scene, index, options)];
    for (const source of sources) {
      for (let turn = 0; turn < 4; turn++) {
        const { question, answer } = source.next().value;
        yield question;
        yield typeof answer === 'string' ? answer : ` ${answer.cells.join(' ')}`;
      }
    }
  }
}

/** Writes a finished training's weights, averaged ones where there are any, into the model; a discriminator is no part of it. */
async function keepTrained(model: string, checkpoint: string, averaged: boolean): Promise<void> {
  const file = path.join(checkpoint, averaged ? 'average.safetensors' : 'weights.safetensors');
  await using weights = await openSafetensors(file);
  const kept = [...weights.entries.keys()].filter((name) => !name.startsWith(discriminatorPrefix));
  await saveModel(model, new Map(kept.map((name) => [name, async () => (await weights.readFloat32(name)).data])));
}
