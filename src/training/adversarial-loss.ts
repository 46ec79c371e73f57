/**
 * The adversarial loss of tokenizers (Esser et al. 2021, VQGAN; LlamaGen, from which STAR-VQ comes): a PatchGAN discriminator
 * (Isola et al. 2017) tells patches of pictures from patches of what the tokenizer drew, with the hinge loss, and the tokenizer
 * learns to be taken for pictures. As in LlamaGen its weight is fixed; norms are of groups and not of the batch, so that a
 * picture is judged by itself and a resumed training has no statistics to keep.
 */
import { type Convolution, declareGroupNorm, type GroupNorm, normalize } from '../nn/convolution-blocks.ts';
import { type Declare, within } from '../nn/parameters.ts';
import { add, conv2d, maximum, multiply, negate, reduceMean, stopGradient, type Tensor } from '../tensor/index.ts';

/** What the discriminator's parameters are called in checkpoints of a training; models do not carry them. */
export const discriminatorPrefix = 'discriminator.';

export interface DiscriminatorShape {
  /** Of the first layer, a multiple of 8; each further one has twice as many, eight times as many at most. */
  readonly channels: number;
  /** Layers that halve the picture. */
  readonly layers: number;
}

export interface AdversarialOptions extends DiscriminatorShape {
  /** Of the tokenizer's share of the loss. */
  readonly weight: number;
}

const kernel = 4;
const normGroups = 8;
const slope = 0.2;

interface Layer {
  readonly convolution: Convolution;
  /** None on the picture itself, nor on the verdict. */
  readonly norm: GroupNorm | undefined;
  readonly stride: number;
}

/** Declares the layers under `discriminator.`: those that halve, one that does not, and the verdict. */
export function declareDiscriminator(declare: Declare, { channels, layers }: DiscriminatorShape): readonly Layer[] {
  const widths = Array.from({ length: layers + 1 }, (_, at) => channels * Math.min(2 ** at, 8));
  const steps = [3, ...widths, 1];
  return steps.slice(1).map((outputs, at): Layer => {
    const below = within(declare, `${discriminatorPrefix}layers.${at}`);
    const plain = at === 0 || at === steps.length - 2;
    return {
      convolution: {
        weight: below('conv.weight', [outputs, steps[at]!, kernel, kernel]),
        bias: below('conv.bias', [outputs]),
      },
      norm: plain ? undefined : declareGroupNorm(within(below, 'norm'), outputs, normGroups),
      stride: at < layers ? 2 : 1,
    };
  });
}

/** Verdicts on patches of pictures `[batch, 3, side, side]` in [−1, 1], `[batch, 1, rows, columns]`: high for real ones. */
export function discriminate(pictures: Tensor, layers: readonly Layer[]): Tensor {
  return layers.reduce((x, { convolution, norm, stride }, at) => {
    const convolved = conv2d(x, convolution.weight, convolution.bias, { stride, padding: 1 });
    const normed = norm ? normalize(convolved, norm) : convolved;
    // Leaky ReLU, but for the verdict.
    return at === layers.length - 1 ? normed : maximum(normed, multiply(normed, slope));
  }, pictures);
}

/** The same layers, through which no gradient reaches their parameters. */
function frozen(layers: readonly Layer[]): Layer[] {
  const stopped = <Part extends { readonly weight: Tensor; readonly bias: Tensor }>(part: Part): Part => ({
    ...part,
    weight: stopGradient(part.weight),
    bias: stopGradient(part.bias),
  });
  return layers.map(({ convolution, norm, stride }) => ({
    convolution: stopped(convolution),
    norm: norm && stopped(norm),
    stride,
  }));
}

export interface AdversarialLosses {
  /** How far drawn pictures are from being taken for real: minus the mean verdict. Its gradient is the tokenizer's alone. */
  readonly generator: Tensor;
  /** Hinge loss of the verdicts on both. Its gradient is the discriminator's alone. */
  readonly discriminator: Tensor;
  /** Mean verdicts, for watching. */
  readonly real: Tensor;
  readonly fake: Tensor;
}

/** @param drawn, pictures of one shape `[batch, 3, side, side]` in [−1, 1] */
export function adversarialLosses(drawn: Tensor, pictures: Tensor, layers: readonly Layer[]): AdversarialLosses {
  const real = discriminate(pictures, layers);
  const fake = discriminate(stopGradient(drawn), layers);
  const hinge = (verdicts: Tensor) => reduceMean(maximum(add(verdicts, 1), 0));
  return {
    generator: negate(reduceMean(discriminate(drawn, frozen(layers)))),
    discriminator: multiply(add(hinge(negate(real)), hinge(fake)), 0.5),
    real: reduceMean(stopGradient(real)),
    fake: reduceMean(stopGradient(fake)),
  };
}
