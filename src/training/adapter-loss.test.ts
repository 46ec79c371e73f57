import { expect, it } from 'vitest';
import { referencePath } from '../../test/reference-vectors.ts';
import { declareAdapter } from '../models/star/parameters.ts';
import { codeEmbeddings, declareCodebook } from '../models/vq/tokenizer.ts';
import { geluMlp } from '../nn/mlp.ts';
import { within } from '../nn/parameters.ts';
import { StarModel } from '../tasks/star-model.ts';
import { int64 } from '../tasks/token-loop.ts';
import { compile, input, type TensorValue } from '../tensor/index.ts';
import { adapterStage } from './adapter-loss.ts';
import { compileLoss } from './stage.ts';

it('asks the adapter for the embeddings of the words that stand in the places of codes', async () => {
  await using model = await StarModel.open(referencePath('tiny-b', '.'), { device: 'cpu', threads: 1 });
  const { qwen, star } = model.folder;
  const { declare, folder: weightsFolder } = model.weights;
  const [codes, words] = [
    [3, 0, 7],
    [5, 9, 5],
  ];
  const stage = adapterStage(star, qwen, codes!.length);
  expect([...stage.trained.keys()].every((name) => name.startsWith('pixel_adapter.'))).toBe(true);
  await using session = await model.runtime.load(compileLoss(stage, declare, { gradients: [] }), { weightsFolder });
  const result = await session.run({ codes: int64([3], codes!), words: int64([3], words!) });

  const given = input('codes', 'int64', [3]);
  const codebook = declareCodebook(within(declare, 'pixel_encoder'), star.pixelEncoder);
  const adapter = declareAdapter(declare, star.pixelAdapter);
  const states = geluMlp(codeEmbeddings(given, codebook, star.pixelEncoder), adapter);
  await using plain = await model.runtime.load(compile({ name: 'said', inputs: [given], outputs: { states } }), {
    weightsFolder,
  });
  const said = ((await plain.run({ codes: int64([3], codes!) })).states as TensorValue).data as Float32Array;
  const embedding = await model.weights.read('llm.model.embed_tokens.weight');
  const { hiddenSize } = qwen.text;
  const asked = words!.flatMap((word) => [...embedding.subarray(word * hiddenSize, (word + 1) * hiddenSize)]);
  const distance = asked.reduce((sum, value, at) => sum + (value - said[at]!) ** 2, 0);
  const nothing = asked.reduce((sum, value) => sum + value ** 2, 0);
  const loss = ((result.loss as TensorValue).data as Float32Array)[0]!;
  expect(loss).toBeCloseTo(distance / nothing, 4);
});
