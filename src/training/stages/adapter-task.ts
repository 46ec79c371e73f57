/** Before generation: the adapter learns to write codes so that the frozen base can read them. */
import { buildGenerationPrompt } from '../../models/star/prompt.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { type AdapterShapes, adapterStage } from '../adapter-loss.ts';
import { generationBatch } from '../generation-loss.ts';
import type { TrainingTask } from '../task.ts';
import { EvaluationProgram } from './evaluation-program.ts';
import type { CaptionedPicture, GenerationData } from './generation-task.ts';
import { PictureCodes } from './picture-codes.ts';
import { PlaceWords } from './place-words.ts';
import { StreamData } from './stream-data.ts';

export function adapterTask(
  model: StarModel,
  data: GenerationData,
  settings: AdapterShapes & { readonly seed: number },
): TrainingTask {
  const { batch } = settings;
  const { qwen, star } = model.folder;
  const stage = adapterStage(star, qwen, settings);
  const codes = new PictureCodes(model);
  const words = new PlaceWords(model);
  const frozen = { declareFrozen: model.weights.declare, weightsFolder: model.weights.folder };
  const evaluation = new EvaluationProgram(stage, frozen, model.runtime);
  const feeds = async (pictures: readonly CaptionedPicture[]) => {
    const drawn = await codes.of(pictures.map(({ image }) => image));
    const samples = pictures.map(({ caption }, row) => ({
      prompt: buildGenerationPrompt(model.chat, caption).conditional,
      codes: drawn[row]!,
    }));
    return { ...generationBatch(samples, star, qwen, settings), ...words.feed(pictures) };
  };
  return {
    stage,
    configuration: { ...settings, data: data.description, sizes: { star, text: qwen.text } },
    ...frozen,
    start: (name) => model.weights.read(name),
    openData: (cursor) => StreamData.open(data.open, batch, feeds, cursor),
    preview: async (access) => {
      const parts = Array.from({ length: Math.floor(data.heldOut.length / batch) }, (_, at) =>
        feeds(data.heldOut.slice(at * batch, (at + 1) * batch)),
      );
      const means = await evaluation.means(access, await Promise.all(parts), ['loss', 'word_accuracy']);
      return { numbers: { held_out_loss: means.loss!, held_out_word_accuracy: means.word_accuracy! } };
    },
  };
}
