/** The diffusion transformer as a program: one step's prediction. */
import type { Declare } from '../../nn/parameters.ts';
import { type CompiledProgram, compile, input, type Tensor } from '../../tensor/index.ts';
import { withSource } from './star-inputs.ts';
import { declareLuminaTransformer, type LuminaTransformerOptions, luminaTransformer } from './transformer.ts';
import type { LuminaTransformerConfig } from './transformer-config.ts';

export interface LuminaProgramShapes extends Required<Omit<LuminaTransformerOptions, 'outputChannels'>> {
  /** Latent pixels, multiples of the patch size. */
  readonly height: number;
  readonly width: number;
}

/**
 * Gives `prediction [batch, latentChannels, height, width]`, the direction from noise to picture, from `latents`,
 * `timestep [batch]`, `caption [batch, tokens, captionDim]` and `caption_mask [batch, tokens]` as in `LuminaInputs`, and with a
 * codebook `source` and `codes` as in `StarLatents`. Batch and tokens may change from run to run.
 * @throws TensorError as `luminaTransformer`.
 */
export function compileLuminaTransformer(
  declare: Declare,
  config: LuminaTransformerConfig,
  { codeChannels, sourceChannels, height, width }: LuminaProgramShapes,
): CompiledProgram {
  const model = declareLuminaTransformer(declare, config, { codeChannels, sourceChannels });
  const map = (name: string, channels: number) => input(name, 'float32', ['batch', channels, height, width]);
  const latents = map('latents', config.latentChannels);
  const conditions = {
    timestep: input('timestep', 'float32', ['batch']),
    caption: input('caption', 'float32', ['batch', 'tokens', config.captionDim]),
    captionMask: input('caption_mask', 'int64', ['batch', 'tokens']),
  };
  const predict = (states: Tensor, output?: 'target') =>
    luminaTransformer({ states, ...conditions }, model, config, output);
  const program = (others: readonly Tensor[], prediction: Tensor) =>
    compile({
      name: 'diffusion transformer',
      inputs: [latents, ...others, ...Object.values(conditions)],
      outputs: { prediction },
    });
  if (codeChannels === 0) return program([], predict(latents));
  const star = { source: map('source', config.latentChannels), codes: map('codes', codeChannels) };
  return program(Object.values(star), predict(withSource({ latents, ...star }, { sourceChannels }), 'target'));
}
