/**
 * Three-way guidance of the diffusion decoder, as published: what the transformer predicts with nothing told (none), with the
 * picture told and no caption (image), and with both (text); in an edit also with the drawn codes told in place of the source
 * (codes). The guided direction is a weighted sum, so a branch whose weight is 0 need not be computed.
 *
 *     none + text · (text − image) + image · (image − none) [+ codes · (codes − none)]
 *
 * A decoder of a model's own is told source and codes of an edit together, in one branch.
 */

/** Part of the denoising in which a guidance holds, both ends left out: `[0, 1]` leaves out the last step alone. */
export type GuidanceWindow = readonly [from: number, to: number];

export interface DiffusionGuidance {
  /** Weight of what the caption adds; 1 is off. */
  readonly text: number;
  /** Weight of what the picture adds: the codes when drawing, the source when editing; 1 is off. */
  readonly image: number;
  /** Weight of what the drawn codes add to an edit; 0 is off. Not used when drawing. */
  readonly codes: number;
  readonly textWindow: GuidanceWindow;
  readonly imageWindow: GuidanceWindow;
}

/** What a branch of the transformer is told. */
export interface GuidanceBranch {
  readonly caption: boolean;
  readonly codes: boolean;
  readonly source: boolean;
}

export interface WeightedBranch extends GuidanceBranch {
  readonly weight: number;
}

/** The picture that a denoising is told: drawn codes, a source, or both. */
export type ToldPicture = Pick<GuidanceBranch, 'codes' | 'source'>;

/**
 * The branches of a step that count, with their weights, which add up to 1.
 * @param step from 0
 */
export function guidedBranches(
  picture: ToldPicture,
  { text, image, codes, textWindow, imageWindow }: DiffusionGuidance,
  step: number,
  steps: number,
): WeightedBranch[] {
  const place = (step + 1) / steps;
  const within = ([from, to]: GuidanceWindow) => place > from && place < to;
  const textWeight = within(textWindow) ? text : 1;
  const imageWeight = within(imageWindow) ? image : 1;
  const codesWeight = picture.source ? codes : 0;
  const branches: WeightedBranch[] = [
    { caption: false, codes: false, source: false, weight: 1 - imageWeight - codesWeight },
    { caption: false, ...picture, weight: imageWeight - textWeight },
    { caption: true, ...picture, weight: textWeight },
    { caption: true, codes: true, source: false, weight: codesWeight },
  ];
  return branches.filter(({ weight }) => weight !== 0);
}
