/** Checks of generating and editing pictures. */
import path from 'node:path';
import { readImage } from '../../image/decode.ts';
import { encodeChat } from '../../models/qwen25vl/chat.ts';
import { enlargeToMinimum } from '../../models/qwen25vl/image-processor.ts';
import { buildGenerationPrompt, buildReasoningPrompt, templateFrame } from '../../models/star/prompt.ts';
import { vqPixelValues } from '../../models/vq/image-transform.ts';
import { editPrompt } from '../../tasks/edit.ts';
import { guidedPrompt } from '../../tasks/generate.ts';
import { decodeCodes } from '../../tasks/pictures.ts';
import { picturePrompt } from '../../tasks/understand.ts';
import type { TensorValue } from '../../tensor/index.ts';
import type { Check, CheckContext } from './check.ts';
import { promptText } from './checks-base.ts';
import { companions, type ExpectedFile, VerifyError } from './expected.ts';
import type { Compared, RowSheet } from './rows.ts';
import { answerGreedily, drawGreedily, embedPrompt, type GreedyPicture, runBase } from './runs.ts';

/**
 * Guidance of the vectors. That of the first three is their definition; the files do not carry that of reasoning and
 * editing: 2 reproduces their logits to 2e-5, other values do not.
 */
const guidances = { cfg1: 1, cfg3: 3, n3: 2, reasoning: 2, edit: 2 } as const;

/** Most images of a file; a bound for what a stranger's file can make us compute. */
const maximumImages = 64;

/** Generation of one picture: everything is expected. The vectors have both rows at guidance 1 too. */
const generateOne =
  (guidance: number): Check =>
  async (context, _file, sheet) => {
    const { model } = context;
    const prompt = guidedPrompt(buildGenerationPrompt(model.chat, promptText(context)));
    const picture = await drawGreedily(context, prompt, { images: 1, guidance });
    sheet.numbers('prompt embeddings', picture.promptEmbeddings, 'prefill_embeds');
    await sheet.part('base hidden states', async () => {
      const { hidden } = await runBase(context, picture.promptEmbeddings, prompt.positions);
      sheet.numbers('base hidden states', hidden, 'prefill_base_hidden');
    });
    await compareDrawn(context, picture, sheet, { image: true });
    if (guidance !== 1) return;
    // What the task does at guidance 1.
    const short = await drawGreedily(context, { ...prompt, branches: [prompt.branches[0]!] }, { images: 1, guidance });
    sheet.tokens('tokens without the unconditional row', short.codes.flat(), 'tokens');
  };

/** Generation of several pictures at once. */
const generateSeveral =
  (guidance: number): Check =>
  async (context, file, sheet) => {
    const prompt = guidedPrompt(buildGenerationPrompt(context.model.chat, promptText(context)));
    const picture = await drawGreedily(context, prompt, { images: countImages(file), guidance });
    await compareDrawn(context, picture, sheet, { image: file.has('image') });
  };

function countImages(file: ExpectedFile): number {
  const images = file.tensor('tokens', 2).shape[0]!;
  if (images >= 1 && images <= maximumImages) return images;
  const message = `tokens of ${images} images, expected 1 to ${maximumImages}`;
  throw new VerifyError('expected_invalid', message, { images });
}

async function compareDrawn(
  { model }: CheckContext,
  { codes, logits }: GreedyPicture,
  sheet: RowSheet,
  { image }: { readonly image: boolean },
): Promise<void> {
  sheet.numbers('guided logits', logits, 'logits');
  sheet.tokens('tokens', codes.flat(), 'tokens');
  if (image) sheet.numbers('image', channelsLast(await decodeCodes(model, codes)), 'image');
}

/** Channels first to last: `[n, 3, h, w]` to `[n, h, w, 3]`. */
function channelsLast({ shape, data }: TensorValue): Compared {
  const [count, channels, height, width] = shape as [number, number, number, number];
  const pixels = height * width;
  const result = new Float32Array(data.length);
  for (let index = 0; index < data.length; index++) {
    const channel = Math.floor(index / pixels) % channels;
    const picture = Math.floor(index / (pixels * channels));
    result[(picture * pixels + (index % pixels)) * channels + channel] = Number(data[index]);
  }
  return { shape: [count, height, width, channels], data: result };
}

const reasoning: Check = async (context, file, sheet) => {
  const { chat } = context.model;
  const meta = context.meta.part('reasoning');
  sheet.tokens('template before the prompt', templateFrame(chat).prefix, meta.template_prefix_ids);
  const ids = encodeChat(chat, [{ role: 'user', content: meta.prompt }]);
  const question = picturePrompt(context.model, ids, []);
  sheet.numbers('embeddings of the question', await embedPrompt(context, question), 'prefill_embeds');
  const { answer } = await answerGreedily(context, question, meta.answer_max_new_tokens);
  sheet.text('answer', answer, meta.answer);
  const prompt = buildReasoningPrompt(chat, meta.prompt, answer);
  sheet.text('prompt made of the answer', prompt.answerPrompt ?? '', meta.answer_prompt ?? '');
  const picture = await drawGreedily(context, guidedPrompt(prompt), { images: 1, guidance: guidances.reasoning });
  await compareDrawn(context, picture, sheet, { image: file.has('image') });
};

const edit: Check = async (context, _file, sheet) => {
  const { model, meta, folder } = context;
  const image = await readImage(path.join(folder, companions.image));
  const pixels = vqPixelValues(enlargeToMinimum(image), model.folder.star.pixelEncoder.imageSize);
  sheet.numbers('pixels of the source', pixels, 'vq_pixel_values');
  const prompt = await editPrompt(model, image, meta.part('edit').instruction);
  sheet.tokens('codes of the source', prompt.pixelCodes ?? [], 'vq_indices');
  sheet.tokens('M-RoPE positions', prompt.positions, 'prefill_position_ids');
  sheet.tokens('positions of the first step', new Array<number>(3).fill(prompt.nextPosition), 'step1_position_ids');
  const picture = await drawGreedily(context, prompt, { images: 1, guidance: guidances.edit });
  sheet.numbers('prompt embeddings', picture.promptEmbeddings, 'prefill_embeds');
  await compareDrawn(context, picture, sheet, { image: true });
};

export const pictureChecks: Readonly<Record<string, Check>> = {
  generate_cfg1: generateOne(guidances.cfg1),
  generate_cfg3: generateOne(guidances.cfg3),
  generate_n3: generateSeveral(guidances.n3),
  generate_reasoning: reasoning,
  edit,
};
