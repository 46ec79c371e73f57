import { describe, expect, it } from 'vitest';
import { readReference, readReferenceMeta, referencePath, referenceVariants } from '../../test/reference-vectors.ts';
import { readImage } from '../image/decode.ts';
import { enlargeToMinimum, processImage } from '../models/qwen25vl/image-processor.ts';
import { buildEditPrompt, buildGenerationPrompt } from '../models/star/prompt.ts';
import { editPrompt } from '../tasks/edit.ts';
import { samplingOf } from '../tasks/options.ts';
import { encodeSemantic, publishedMaxPixels } from '../tasks/pictures.ts';
import { StarModel } from '../tasks/star-model.ts';
import { runTokens } from '../tasks/token-loop.ts';
import type { TensorValue } from '../tensor/index.ts';
import { InstructionBatch, type InstructionSample, instructionStage } from './instruction-loss.ts';
import { compileLoss } from './stage.ts';

describe.each(referenceVariants)('the instruction stage on %s', (variant) => {
  it('gives the loss of the tokens that the engine draws, editing and drawing in one batch', async () => {
    await using model = await StarModel.open(referencePath(variant, '.'), { device: 'cpu', threads: 1, trace: true });
    const { star, qwen } = model.folder;
    const { numTokens, gridSize, codebookSize } = star.pixelEncoder;
    const { edit } = readReferenceMeta(variant) as { edit: { instruction: string } };
    const image = enlargeToMinimum(await readImage(referencePath(variant, 'expected/image.png')));
    const prompt = await editPrompt(model, image, edit.instruction);

    // What the engine says at guidance 1, greedy: the surprise of its own tokens.
    const drawn: number[] = [];
    let expected = 0;
    const single = { ...prompt, branches: [prompt.branches[0]!] };
    for await (const { tokens, outputs } of runTokens(model, await model.session('engine'), {
      prompt: single,
      drawPicture: true,
      images: 1,
      seed: 0,
      guidance: 1,
      sampling: samplingOf({ temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1 }, codebookSize),
      maxTokens: numTokens,
      chunk: () => gridSize,
      stopTokens: [],
    })) {
      const logits = outputs.logits!.data as Float32Array;
      tokens.forEach((turn, index) => {
        const row = logits.subarray(index * codebookSize, (index + 1) * codebookSize);
        const largest = row.reduce((a, b) => Math.max(a, b));
        expected += Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)) + largest - row[turn[0]!]!;
        drawn.push(turn[0]!);
      });
    }

    const semantic = await encodeSemantic(model, image, publishedMaxPixels.edit);
    const layout = { pixelTokens: numTokens, semanticTokens: semantic.tokens, generatedTokens: numTokens };
    const rows = buildEditPrompt(model.chat, edit.instruction, layout);
    const targets = readReference(variant, 'train_generation').targets!.data;
    const prompts = (readReferenceMeta(variant) as { train_generation: { prompts: string[] } }).train_generation
      .prompts;
    const samples: InstructionSample[] = [
      {
        kind: 'edit',
        prompt: rows.conditional,
        positionIds: rows.positionIds.slice(0, rows.length),
        source: image,
        sourceCodes: prompt.pixelCodes!,
        codes: drawn,
      },
      ...prompts.map(
        (text, row): InstructionSample => ({
          kind: 'draw',
          prompt: buildGenerationPrompt(model.chat, text).conditional,
          codes: Array.from(targets.slice(row * numTokens, (row + 1) * numTokens)),
        }),
      ),
    ];
    const shapes = {
      batch: samples.length,
      promptTokens: rows.length + 2,
      pictures: 1,
      grid: processImage(image, model.imageProcessor).gridThw,
    };
    const program = compileLoss(instructionStage(star, qwen, shapes), model.weights.declare);
    await using session = await model.runtime.load(program, { weightsFolder: model.weights.folder });
    const pixelPad = model.chat.tokenizer.idOf('<|vision_pad|>')!;
    const batch = new InstructionBatch(model.folder, model.imageProcessor, shapes, pixelPad);
    const results = (await session.run(batch.feeds(samples))) as Record<string, TensorValue>;
    const perSample = results.per_sample_nll!.data as Float32Array;
    expect(perSample[0]! / expected).toBeCloseTo(1, 5);
    const published = readReference(variant, 'train_generation').per_sample_nll!.data;
    for (const [row, value] of published.entries()) expect(perSample[row + 1]! / value).toBeCloseTo(1, 4);
    // The base and the semantic encoder are frozen.
    const trained = Object.keys(results).filter((name) => name.startsWith('grad.'));
    expect(trained.length).toBeGreaterThan(10);
    expect(trained.filter((name) => /^grad\.(llm|pixel_encoder)\./.test(name))).toEqual([]);
  });

  it('refuses batches that do not fit', async () => {
    await using model = await StarModel.open(referencePath(variant, '.'), { device: 'cpu', threads: 1 });
    const shapes = { batch: 2, promptTokens: 60, pictures: 1, grid: [1, 4, 4] as const };
    const batch = new InstructionBatch(model.folder, model.imageProcessor, shapes, 0);
    const draw: InstructionSample = { kind: 'draw', prompt: [1, 2], codes: [0] };
    expect(() => batch.feeds([draw, draw])).toThrow(/expected 1 samples that edit, then 1 that draw; got draw, draw/);
  });
});
