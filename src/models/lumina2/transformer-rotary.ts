/**
 * Rotary positions on three axes (`Lumina2RotaryPosEmbed`): a caption's token turns with its place in the caption, a patch
 * of the picture with the caption's length, its row and its column. Each axis has channels of a head to itself.
 */
import {
  arange,
  concat,
  constant,
  type Dim,
  expand,
  full,
  gather,
  reshape,
  type Tensor,
  unsqueeze,
} from '../../tensor/index.ts';
import type { Rotary } from '../qwen25vl/text-decoder.ts';
import type { LuminaTransformerConfig } from './transformer-config.ts';

/** Patches of a picture, the source's below included. */
export interface PatchGrid {
  readonly rows: number;
  readonly columns: number;
}

/** Positions for the caption alone, for the picture alone, and for both behind one another. */
export interface LuminaRotary {
  readonly caption: Rotary;
  readonly picture: Rotary;
  readonly joint: Rotary;
}

/** Fixed in the published code; no configuration key carries it. */
const theta = 10_000;

/** Half the channels of a head, one for each pair that turns; `[tokens, pairs]` or `[batch, tokens, pairs]`. */
interface Angles {
  readonly cosine: Tensor;
  readonly sine: Tensor;
}

/**
 * @param lengths `[batch]` int64: the tokens of each caption, padding not counted.
 * @param captionTokens size of the caption axis, padding counted.
 */
export function luminaRotary(
  lengths: Tensor,
  captionTokens: Dim,
  grid: PatchGrid,
  config: LuminaTransformerConfig,
): LuminaRotary {
  const batch = lengths.shape[0]!;
  const places = arange(captionTokens);
  const caption = captionAngles(places, config);
  const picture = pictureAngles(lengths, grid, config);
  const joint = map2(caption, picture, (words, patches) => {
    const rows = expand(unsqueeze(words, 0), [batch, captionTokens, words.shape[1]!]);
    return concat([rows, patches], 1);
  });
  return {
    caption: { ...caption, positions: expand(unsqueeze(places, 0), [batch, captionTokens]) },
    picture: rowsOfTheirOwn(picture),
    joint: rowsOfTheirOwn(joint),
  };
}

/** A caption's tokens stand in row 0 and column 0, where nothing turns. */
function captionAngles(places: Tensor, config: LuminaTransformerConfig): Angles {
  const still = (config.headDim - config.ropeChannels[0]) / 2;
  const { cosine, sine } = captionAxis(config);
  const rest = (value: number) => full('float32', [places.shape[0]!, still], value);
  return {
    cosine: concat([gather(cosine, places), rest(1)], 1),
    sine: concat([gather(sine, places), rest(0)], 1),
  };
}

function pictureAngles(lengths: Tensor, grid: PatchGrid, config: LuminaTransformerConfig): Angles {
  const batch = lengths.shape[0]!;
  const patches = grid.rows * grid.columns;
  return map2(captionAxis(config), gridAxes(grid, config), (axis, spatial) => {
    const first = expand(unsqueeze(gather(axis, lengths), 1), [batch, patches, axis.shape[1]!]);
    return concat([first, expand(unsqueeze(spatial, 0), [batch, ...spatial.shape])], 2);
  });
}

/** The axis along the caption, `[positions, pairs]`. */
function captionAxis({ ropeChannels, ropePositions }: LuminaTransformerConfig): Angles {
  return table(ropePositions[0], ropeChannels[0], (position, pair) => position * frequency(pair, ropeChannels[0]));
}

/** Rows and columns of the patches in reading order, `[rows * columns, pairs]`. */
function gridAxes({ rows, columns }: PatchGrid, { ropeChannels }: LuminaTransformerConfig): Angles {
  const [, rowChannels, columnChannels] = ropeChannels;
  return table(rows * columns, rowChannels + columnChannels, (patch, pair) => {
    const along = pair - rowChannels / 2;
    return along < 0
      ? Math.floor(patch / columns) * frequency(pair, rowChannels)
      : (patch % columns) * frequency(along, columnChannels);
  });
}

function frequency(pair: number, channels: number): number {
  return 1 / theta ** ((2 * pair) / channels);
}

/** Cosines and sines of angles computed in float64, as the published code does. */
function table(rows: number, channels: number, angle: (row: number, pair: number) => number): Angles {
  const pairs = channels / 2;
  const angles = Float64Array.from({ length: rows * pairs }, (_, at) => angle(Math.floor(at / pairs), at % pairs));
  return {
    cosine: constant('float32', [rows, pairs], Float32Array.from(angles, Math.cos)),
    sine: constant('float32', [rows, pairs], Float32Array.from(angles, Math.sin)),
  };
}

/** Rows of a batch may differ, so that each token of each gets its own row in the tables. */
function rowsOfTheirOwn({ cosine, sine }: Angles): Rotary {
  const [batch, tokens, pairs] = cosine.shape as [Dim, Dim, Dim];
  const rows = reshape(cosine, [-1, pairs]);
  return {
    cosine: rows,
    sine: reshape(sine, [-1, pairs]),
    positions: reshape(arange(rows.shape[0]!), [batch, tokens]),
  };
}

function map2(a: Angles, b: Angles, join: (a: Tensor, b: Tensor) => Tensor): Angles {
  return { cosine: join(a.cosine, b.cosine), sine: join(a.sine, b.sine) };
}
