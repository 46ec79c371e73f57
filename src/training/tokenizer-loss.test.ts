import { expect, it } from 'vitest';
import { readReference, referencePath } from '../../test/reference-vectors.ts';
import { StarModel } from '../tasks/star-model.ts';
import type { TensorValue } from '../tensor/index.ts';
import { compileTokenizerLoss, tokenizerStage } from './tokenizer-loss.ts';

it('trains the decoder alone by the same gradients, and no other part', async () => {
  await using model = await StarModel.open(referencePath('tiny-a', '.'), { device: 'cpu', threads: 1 });
  const config = model.folder.star.pixelEncoder;
  const { image } = readReference('tiny-a', 'vq');
  const [batch, , , imageSize] = image!.shape as [number, number, number, number];
  const shapes = { batch, imageSize };
  const alone = tokenizerStage(config, { ...shapes, train: 'decoder' }).trained;
  const whole = tokenizerStage(config, shapes).trained;
  const decoder = [...whole.keys()].filter((name) => /^pixel_encoder\.(decoder|post_quant_conv)\./.test(name));
  expect([...alone.keys()].sort()).toEqual(decoder.sort());

  const gradients = ['pixel_encoder.decoder.conv_in.weight', 'pixel_encoder.post_quant_conv.bias'];
  const run = async (train: 'all' | 'decoder') => {
    const program = compileTokenizerLoss(model.weights.declare, config, { ...shapes, train }, { gradients });
    await using session = await model.runtime.load(program, { weightsFolder: model.weights.folder });
    const picture: TensorValue = { dtype: 'float32', shape: image!.shape, data: image!.data as Float32Array };
    return (await session.run({ picture })) as Record<string, TensorValue>;
  };
  const [all, only] = [await run('all'), await run('decoder')];
  for (const name of gradients) expect(only[`grad.${name}`]!.data).toEqual(all[`grad.${name}`]!.data);
  expect(only.loss!.data).toEqual(all.recon_mse!.data);
  expect(only.loss!.data).not.toEqual(all.loss!.data);
});
