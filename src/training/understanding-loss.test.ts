import { describe, expect, it } from 'vitest';
import { readReference, referencePath, referenceVariants } from '../../test/reference-vectors.ts';
import { readImage } from '../image/decode.ts';
import { processImage } from '../models/qwen25vl/image-processor.ts';
import { StarModel } from '../tasks/star-model.ts';
import type { TensorValue } from '../tensor/index.ts';
import { type EncodedConversation, packedLength, packRow } from './packed-rows.ts';
import { compileLoss } from './stage.ts';
import { UnderstandingBatch, type UnderstandingRow, understandingStage } from './understanding-loss.ts';

/** −log softmax(logits)[target]. */
function surprise(logits: Float32Array, target: number): number {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return Math.log(sum) + largest - logits[target]!;
}

describe.each(referenceVariants)('the understanding stage on %s', (variant) => {
  async function setUp() {
    const model = await StarModel.open(referencePath(variant, '.'), { device: 'cpu', threads: 1 });
    const image = await readImage(referencePath(variant, 'expected/image.png'));
    const { gridThw } = processImage(image, model.imageProcessor);
    const ids = Array.from(readReference(variant, 'understand').input_ids!.data);
    const { qwen } = model.folder;
    const loss = async (rows: readonly UnderstandingRow[], tokens: number, gradients?: string[]) => {
      const pictures = Math.max(1, rows.filter((row) => row.image).length);
      const shapes = { rows: rows.length, tokens, pictures, grid: gridThw };
      const program = compileLoss(understandingStage(qwen, shapes), model.weights.declare, {
        gradients: gradients ?? [],
      });
      await using session = await model.runtime.load(program, { weightsFolder: model.weights.folder });
      const batch = new UnderstandingBatch(qwen, model.imageProcessor, shapes);
      return (await session.run(batch.feeds(rows))) as Record<string, TensorValue>;
    };
    return { model, image, ids, loss };
  }

  it('gives the loss that the published logits give', async () => {
    const { model, image, ids, loss } = await setUp();
    await using _ = model;
    const { logits } = readReference(variant, 'understand');
    const vocabulary = logits!.shape.at(-1)!;
    const cut = ids.length - 5;
    const conversation = { prompt: ids.slice(0, cut), answer: ids.slice(cut) };
    const expected = conversation.answer.map((target, index) => {
      const row = (cut - 1 + index) * vocabulary;
      return surprise((logits!.data as Float32Array).subarray(row, row + vocabulary), target);
    });
    const mean = expected.reduce((a, b) => a + b) / expected.length;
    // Longer than the row, so that it is padded.
    const result = await loss([{ row: packRow([conversation]), image }], ids.length + 3);
    expect((result.loss!.data as Float32Array)[0]).toBeCloseTo(mean, 4);
  });

  it('gives conversations that share a row what each gives alone', async () => {
    const { model, image, ids, loss } = await setUp();
    await using _ = model;
    const end = ids.lastIndexOf(model.folder.qwen.tokens.imageToken) + 3;
    const about = (prompt: number[], answer: number[]): EncodedConversation => ({
      prompt: [...ids.slice(0, end), ...prompt],
      answer,
    });
    const conversations = [about([5, 6, 7], [9]), about([5, 8], [11, 12]), about([40], [41, 42, 43])];
    const together = packRow(conversations);
    expect(together.ids.length).toBe(packedLength(conversations));
    expect(together.shared).toBe(end);
    const names = ['llm.model.layers.0.self_attn.q_proj.weight', 'llm.visual.blocks.0.mlp.gate_proj.weight'];
    const packed = await loss([{ row: together, image }], together.ids.length + 1, names);
    let sum = 0;
    const gradients = names.map(() => 0);
    for (const conversation of conversations) {
      const alone = await loss([{ row: packRow([conversation]), image }], 120, names);
      sum += (conversation.answer.length / 6) * (alone.loss!.data as Float32Array)[0]!;
      names.forEach((name, index) => {
        gradients[index]! += (conversation.answer.length / 6) * (alone[`grad.${name}`]!.data as Float32Array)[7]!;
      });
    }
    expect((packed.loss!.data as Float32Array)[0]).toBeCloseTo(sum, 4);
    names.forEach((name, index) => {
      const gradient = (packed[`grad.${name}`]!.data as Float32Array)[7]!;
      expect(Math.abs(gradient)).toBeGreaterThan(1e-7);
      expect(gradient / gradients[index]!).toBeCloseTo(1, 2);
    });
  });

  it('keeps rows with pictures and rows of text apart', async () => {
    const { model, image, ids, loss } = await setUp();
    await using _ = model;
    const cut = ids.length - 4;
    const shown = { row: packRow([{ prompt: ids.slice(0, cut), answer: ids.slice(cut) }]), image };
    const written = { row: packRow([{ prompt: [3, 4, 5], answer: [6, 7] }]) };
    const [both, first, second] = [
      await loss([shown, written], ids.length),
      await loss([shown], ids.length),
      await loss([written], 12),
    ].map((result) => (result.loss!.data as Float32Array)[0]!) as [number, number, number];
    expect(both).toBeCloseTo((4 * first + 2 * second) / 6, 4);
  });
});
