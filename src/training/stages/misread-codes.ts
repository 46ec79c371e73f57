/** Codes as a model that draws them may have them: now and then another that looks alike. */
import { declareCodebook } from '../../models/vq/tokenizer.ts';
import { within } from '../../nn/parameters.ts';
import type { Session } from '../../runtime/session.ts';
import { SessionCache } from '../../runtime/session-cache.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { float32, int64 } from '../../tasks/token-loop.ts';
import { compile, input, reshape, type TensorValue } from '../../tensor/index.ts';
import { alikeCodes } from '../picture-loss.ts';

/** How a picture's codes are misread. */
export interface Misreading {
  /** Squared distance of two codes' embeddings at which one is drawn 1/e as often as the other, greater than 0. */
  readonly distance: number;
  /** A number in [0, 1) for each place. */
  readonly chance: (place: number) => number;
}

export class MisreadCodes {
  readonly #model: StarModel;
  readonly #sessions = new SessionCache();

  constructor(model: StarModel) {
    this.#model = model;
  }

  /** The codes `[pictures][places]`, each drawn from the shares that label smoothing would give its target. */
  async of(pictures: readonly (readonly number[])[], how: readonly Misreading[]): Promise<number[][]> {
    if (pictures.length === 0) return [];
    const { numTokens, codebookSize } = this.#model.folder.star.pixelEncoder;
    const session = await this.#sessions.get('alike codes', () => this.#load());
    const { shares } = await session.run({
      codes: int64([pictures.length, numTokens], pictures.flat()),
      distances: float32(
        [pictures.length],
        how.map(({ distance }) => distance),
      ),
    });
    const { data } = shares as TensorValue;
    return pictures.map((codes, row) =>
      codes.map((_, place) => {
        const from = (row * numTokens + place) * codebookSize;
        return drawn(data.subarray(from, from + codebookSize) as Float32Array, how[row]!.chance(place));
      }),
    );
  }

  #load(): Promise<Session> {
    const { weights, folder, runtime } = this.#model;
    const { pixelEncoder } = folder.star;
    const codes = input('codes', 'int64', ['pictures', pixelEncoder.numTokens]);
    const distances = input('distances', 'float32', ['pictures']);
    const codebook = declareCodebook(within(weights.declare, 'pixel_encoder'), pixelEncoder);
    const shares = alikeCodes(codes, codebook, pixelEncoder, reshape(distances, [-1, 1, 1]));
    const program = compile({ name: 'alike codes', inputs: [codes, distances], outputs: { shares } });
    return runtime.load(program, { weightsFolder: weights.folder });
  }
}

/** The index at which the shares' sum passes a number in [0, 1). */
function drawn(shares: Float32Array, chance: number): number {
  let left = chance;
  let last = 0;
  for (let index = 0; index < shares.length; index++) {
    const share = shares[index]!;
    if (share === 0) continue;
    if (left < share) return index;
    left -= share;
    last = index;
  }
  // Shares sum to a little less than 1.
  return last;
}
