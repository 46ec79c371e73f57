/** The tokenizer's two programs: pictures to codes, codes to pictures. */
import { type Declare, within } from '../../nn/parameters.ts';
import { type CompiledProgram, compile, input } from '../../tensor/index.ts';
import type { VqConfig } from './config.ts';
import {
  codeEmbeddings,
  declareCodebook,
  declareVqDecoder,
  declareVqEncoder,
  quantize,
  toMaps,
  vqDecode,
  vqEncode,
} from './tokenizer.ts';

/** `picture [batch, 3, size, size]` in [−1, 1] to `codes [batch, places]`, and the features before quantization. */
export function compileVqEncoder(declare: Declare, config: VqConfig, imageSize: number): CompiledProgram {
  const pixelEncoder = within(declare, 'pixel_encoder');
  const picture = input('picture', 'float32', ['batch', 3, imageSize, imageSize]);
  const preQuant = vqEncode(picture, declareVqEncoder(pixelEncoder, config), config);
  const { indices } = quantize(preQuant, declareCodebook(pixelEncoder, config), config);
  return compile({ name: 'vq encoder', inputs: [picture], outputs: { codes: indices, pre_quant: preQuant } });
}

/** `codes [batch, side²]` to `picture [batch, 3, size, size]` in [−1, 1]. */
export function compileVqDecoder(declare: Declare, config: VqConfig, gridSize: number): CompiledProgram {
  const pixelEncoder = within(declare, 'pixel_encoder');
  const codes = input('codes', 'int64', ['batch', gridSize ** 2]);
  const embeddings = codeEmbeddings(codes, declareCodebook(pixelEncoder, config), config);
  const maps = toMaps(embeddings, gridSize);
  const picture = vqDecode(maps, declareVqDecoder(pixelEncoder, config), config);
  return compile({ name: 'vq decoder', inputs: [codes], outputs: { picture, quantized: maps } });
}
