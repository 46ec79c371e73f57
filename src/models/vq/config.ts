/** Sizes of a STAR-VQ tokenizer. Full size: ch 256, chMult [1, 2, 2, 4, 8], 65,536 codes x 512, z 512, 8 heads, 32 groups. */
export interface VqConfig {
  readonly codebookSize: number;
  readonly codebookDim: number;
  /** Channels of the first level. */
  readonly ch: number;
  /** Factor on `ch` at each level; each level after the first halves height and width. */
  readonly chMult: readonly number[];
  readonly zChannels: number;
  readonly resBlocks: number;
  /**
   * Groups of the norms; divides `ch`. The published 32 leaves a small tokenizer one or two channels a group, and a group of
   * one loses its channel's mean over the picture: colours.
   */
  readonly normGroups: number;
  /** Attention heads at the lowest level and in the middle. */
  readonly heads: number;
  /** Compare and return codes scaled to length 1. The published tokenizer does not. */
  readonly l2Norm: boolean;
}
