/** Checks of the frozen base and its tokenizer, and of the sampler's filters. */
import path from 'node:path';
import { readImage } from '../../image/decode.ts';
import { encodeChat, renderChat, renderChatPieces } from '../../models/qwen25vl/chat.ts';
import { processImage } from '../../models/qwen25vl/image-processor.ts';
import { encodeSemantic } from '../../tasks/pictures.ts';
import { float32, int64 } from '../../tasks/token-loop.ts';
import { picturePrompt } from '../../tasks/understand.ts';
import type { Check, CheckContext } from './check.ts';
import { companions, VerifyError } from './expected.ts';
import { compileFilterCheck } from './programs.ts';
import { answerGreedily, embedPrompt, runBase, runOnce } from './runs.ts';

/** Of the picture that needs the bicubic resize: one step of a byte after normalization is 0.015. */
const resized = { tolerance: 2e-2 };

/** The vectors were made without the limit of the published scripts. */
const noLimit = Number.POSITIVE_INFINITY;

/**
 * The user's text in `chat_prompt`, which is also what the pictures are generated from: what stands between the
 * template's own words.
 */
export function promptText({ meta, model }: CheckContext): string {
  const rendered = meta.part('chat_prompt');
  const pieces = renderChatPieces(model.chat, [{ role: 'user', content: 'text' }]);
  const [prefix, suffix] = [pieces[0]?.text ?? '', pieces[2]?.text ?? ''];
  const fits = rendered.length >= prefix.length + suffix.length;
  if (fits && rendered.startsWith(prefix) && rendered.endsWith(suffix)) {
    return rendered.slice(prefix.length, rendered.length - suffix.length);
  }
  throw new VerifyError(
    'expected_invalid',
    `meta.json, chat_prompt: expected one turn of a user as the folder's chat template writes it, between ${JSON.stringify(prefix)} and ${JSON.stringify(suffix)}`,
  );
}

const vision: Check = async ({ model, folder }, _file, sheet) => {
  for (const { prefix, name, limit } of [
    { prefix: '', name: companions.image, limit: undefined },
    { prefix: 'odd_', name: companions.oddImage, limit: resized },
  ]) {
    await sheet.part(name, async () => {
      const image = await readImage(path.join(folder, name));
      const { pixelValues, gridThw } = processImage(image, model.imageProcessor);
      sheet.tokens(`${name}: grid`, gridThw, `${prefix}grid_thw`);
      sheet.numbers(`${name}: pixel values`, pixelValues, `${prefix}pixel_values`, limit);
      const { embeddings } = await encodeSemantic(model, image, noLimit);
      sheet.numbers(`${name}: embeddings`, embeddings, `${prefix}image_embeds`, limit);
    });
  }
};

const text: Check = async (context, _file, sheet) => {
  const { model, meta } = context;
  const { tokenizer } = model.chat;
  await sheet.part('tokenizer', () => {
    for (const [index, entry] of meta.part('tokenizer').entries()) {
      sheet.tokens(`tokenizer, text ${index}`, tokenizer.encode(entry.text), entry.ids);
      sheet.text(`tokenizer, text ${index} decoded`, tokenizer.decode(entry.ids), entry.decoded);
    }
  });
  const message = { role: 'user' as const, content: promptText(context) };
  sheet.text('rendered chat prompt', renderChat(model.chat, [message]), meta.part('chat_prompt'));
  const ids = encodeChat(model.chat, [message]);
  sheet.tokens('token ids', ids, 'input_ids');
  const prompt = picturePrompt(model, ids, []);
  const { hidden, logits } = await runBase(context, await embedPrompt(context, prompt), prompt.positions);
  sheet.numbers('last hidden state', hidden, 'last_hidden_state');
  sheet.numbers('logits', logits, 'logits');
};

const understand: Check = async (context, file, sheet) => {
  const { model, folder } = context;
  const { question, rendered, answer } = context.meta.part('understand');
  const image = await readImage(path.join(folder, companions.image));
  const picture = await encodeSemantic(model, image, noLimit);
  const content = [{ type: 'image' as const }, { type: 'text' as const, text: question }];
  const ids = encodeChat(model.chat, [{ role: 'user', content }], [picture.tokens]);
  sheet.text('rendered prompt', model.chat.tokenizer.decode(ids), rendered);
  sheet.tokens('token ids', ids, 'input_ids');
  const prompt = picturePrompt(model, ids, [picture]);
  sheet.tokens('M-RoPE positions', prompt.positions, 'position_ids');
  await sheet.part('logits', async () => {
    const { logits } = await runBase(context, await embedPrompt(context, prompt), prompt.positions);
    sheet.numbers('logits', logits, 'logits');
  });
  const made = await answerGreedily(context, prompt, file.tensor('generated_ids').data.length);
  sheet.tokens('greedy tokens', made.tokenIds, 'generated_ids');
  sheet.text('answer', made.answer, answer);
};

const sampling: Check = async (context, file, sheet) => {
  const logits = file.tensor('logits', 2);
  const vocabulary = logits.shape[1]!;
  const program = compileFilterCheck(vocabulary);
  for (const [name, topK, topP] of [
    ['topk5', 5, 1],
    ['topp08', vocabulary, 0.8],
    ['topk10_topp06', 10, 0.6],
  ] as const) {
    await sheet.part(name, async () => {
      const k = int64([1], [Math.min(topK, vocabulary)]);
      const feeds = { logits, temperature: float32([], [1]), top_k: k, top_p: float32([], [topP]) };
      const { filtered } = await runOnce(context, program, feeds);
      sheet.numbers(topK < vocabulary ? `top-k ${topK}, top-p ${topP}` : `top-p ${topP}`, filtered, name);
    });
  }
};

export const baseChecks: Readonly<Record<string, Check>> = { vision, text, understand, sampling };
