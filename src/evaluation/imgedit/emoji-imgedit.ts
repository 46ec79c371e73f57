/**
 * emoji-ImgEdit: edits of scenes in ImgEdit's types, their targets known exactly. Printed beside the score: what copying the
 * source, the target itself, and a random scene get.
 */
import { DataError } from '../../data/error.ts';
import { renderTarget } from '../../data/world/edit-target.ts';
import { type Edit, type EditType, expressibleEdits, sampleEdit } from '../../data/world/edits.ts';
import type { Box, Scene, WorldObject } from '../../data/world/scene.ts';
import type { World } from '../../data/world/world.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { meanSquaredError, psnrOf, psnrOfError, requireSameSize } from '../../image/similarity.ts';
import { bootstrapStrata, mean } from '../bootstrap.ts';
import { type Checker, checkerThreshold, type FoundObject, type Reading } from '../checker/checker.ts';
import { EvaluationError } from '../error.ts';
import { closedWorldNote, type Report, type Source, type Table } from '../report.ts';
import type { JudgedPicture } from '../sheet.ts';
import { complianceOf } from './compliance.ts';
import { clamped, complianceScore, type EditScores, imgEditMeans, itemScore, psnrScore } from './mapping.ts';

/** Changes a picture as an instruction says. */
export type Editor = (source: RgbImage, instruction: string, seed: number) => Promise<RgbImage>;

export interface EditItem {
  readonly scene: Scene;
  readonly edit: Edit;
  readonly source: RgbImage;
  readonly target: RgbImage;
}

export interface EditItemsOptions {
  /** Pixels a side. */
  readonly size: number;
  readonly seed: number;
  readonly perType: number;
}

/** So many edits of each type that the world can show, of scenes that training never saw. */
export function sampleEditItems(world: World, { size, seed, perType }: EditItemsOptions): EditItem[] {
  return expressibleEdits(world.profile).flatMap((type) => {
    const items: EditItem[] = [];
    for (let index = 0; items.length < perType && index < 40 * perType; index++) {
      const scene = world.scene(seed, index, 'any');
      const edit = editOf(world, scene, seed + index, type);
      if (!edit) continue;
      const source = world.render(scene, size);
      items.push({ scene, edit, source, target: renderTarget(edit.target, world.atlas, size) });
    }
    return items;
  });
}

function editOf(world: World, scene: Scene, seed: number, type: EditType): Edit | undefined {
  try {
    return sampleEdit(scene, seed, type, { profile: world.profile, heldOut: 'any' });
  } catch (error) {
    // A scene without room or without a thing to name has no such edit: the next one may.
    if (error instanceof DataError && error.code === 'data_exhausted') return undefined;
    throw error;
  }
}

/** Pixels by which the changed region is grown. */
const dilation = 2;

/** 1 where the edit changes the picture: boxes of objects that came, went or moved, and whatever else differs. */
export function changedRegion(item: EditItem, found: readonly Box[] = []): Uint8Array {
  const { scene, edit, source, target } = item;
  const size = source.width;
  const region = new Uint8Array(size * size);
  const before = new Set<WorldObject>(scene.objects);
  const after = new Set<WorldObject>(edit.target.scene.objects);
  const boxes = [
    ...scene.objects.filter((object) => !after.has(object)).map(({ box }) => box),
    ...edit.target.scene.objects.filter((object) => !before.has(object)).map(({ box }) => box),
    ...found,
  ];
  for (const { x, y, width, height } of boxes) {
    const [left, top] = [Math.max(0, Math.round(x * size)), Math.max(0, Math.round(y * size))];
    const right = Math.min(size, Math.round((x + width) * size));
    const bottom = Math.min(size, Math.round((y + height) * size));
    for (let row = top; row < bottom; row++) region.fill(1, row * size + left, row * size + right);
  }
  for (let pixel = 0; pixel < size * size; pixel++) {
    for (let at = pixel * 3; at < pixel * 3 + 3; at++) if (source.data[at] !== target.data[at]) region[pixel] = 1;
  }
  return dilated(region, size);
}

function dilated(region: Uint8Array, size: number): Uint8Array {
  const grown = new Uint8Array(region.length);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (region[y * size + x] === 0) continue;
      for (let row = Math.max(0, y - dilation); row <= Math.min(size - 1, y + dilation); row++) {
        grown.fill(1, row * size + Math.max(0, x - dilation), row * size + Math.min(size, x + dilation + 1));
      }
    }
  }
  return grown;
}

/** The three scores of a result, not clamped. */
export function scoreEdit(item: EditItem, result: RgbImage, checker: Checker, world: World): EditScores {
  requireSameSize(item.target, result, 'emoji-ImgEdit');
  const { scene, edit, source, target } = item;
  const reading = checker.read(result);
  const objects = reading.objects.filter(({ confidence }) => confidence > checkerThreshold);
  const moved = elsewhere(item, objects);
  const targets = [target, ...moved.map((box) => movedTarget(item, box, world))];
  const region = changedRegion(item, moved);
  const inside = Math.max(
    ...targets.map((valid) => psnrOfError(meanSquaredError(result, valid, (pixel) => region[pixel] === 1) ?? 0)),
  );
  const outside = meanSquaredError(result, source, (pixel) => region[pixel] === 0);
  const naturalness = psnrScore(inside);
  return {
    compliance: edit.target.imageMap ? mappedCompliance(item, result) : readCompliance(scene, edit, reading, objects),
    naturalness,
    // An edit of the whole picture leaves nothing to keep: its detail is that of the change.
    detail: outside === null ? naturalness : psnrScore(psnrOfError(outside)),
  };
}

function readCompliance(scene: Scene, edit: Edit, { background }: Reading, objects: readonly FoundObject[]): number {
  return complianceScore(complianceOf(scene, edit, background.background, background.canvas, objects));
}

/** Where an added thing stands as asked but not where the target has it. */
function elsewhere({ edit }: EditItem, objects: readonly FoundObject[]): Box[] {
  if (edit.type !== 'add') return [];
  const added = edit.target.scene.objects.at(-1)!;
  return objects.filter((found) => found.class === added.class).map(({ square }) => square);
}

function movedTarget({ edit, source }: EditItem, box: Box, world: World): RgbImage {
  const { objects, background } = edit.target.scene;
  return world.render({ background, objects: [...objects.slice(0, -1), { ...objects.at(-1)!, box }] }, source.width);
}

/**
 * s1 of a map of all pixels, which leaves no picture of the world to read: 1 when the result is as near the source as the
 * target, else the steps of PSNR to the target.
 */
function mappedCompliance({ source, target }: EditItem, result: RgbImage): number {
  const psnr = psnrOf(result, target);
  return psnr <= psnrOf(result, source) ? 1 : psnrScore(psnr);
}

export interface ScoredEdit {
  readonly type: EditType;
  readonly scores: EditScores;
}

export interface ImgEditRun {
  readonly items: readonly EditItem[];
  readonly editor: Editor;
  readonly checker: Checker;
  readonly world: World;
  readonly source: Source;
  readonly seed: number;
  /** What the tokenizer makes of a picture: adds the control `target after the tokenizer`. */
  readonly reconstruct?: (image: RgbImage) => Promise<RgbImage>;
  readonly validation?: Table;
  readonly onPicture?: (done: number, total: number, picture: JudgedPicture) => void;
}

/** Edits and scores all items, and the controls. */
export async function evaluateImgEdit(run: ImgEditRun): Promise<{ report: Report; results: ScoredEdit[] }> {
  const { items, editor, world, seed } = run;
  if (items.length === 0) throw new EvaluationError('evaluation_empty', 'emoji-ImgEdit: no items');
  const scored = async (make: Editor, follow?: ImgEditRun['onPicture']): Promise<ScoredEdit[]> => {
    const results: ScoredEdit[] = [];
    for (const [index, item] of items.entries()) {
      const image = await make(item.source, item.edit.instruction, seed);
      const scores = scoreEdit(item, image, run.checker, world);
      results.push({ type: item.edit.type, scores });
      const { compliance } = scores;
      const verdict = compliance === 5 ? 'right' : compliance === 1 ? 'wrong' : 'partly';
      follow?.(index + 1, items.length, { image, verdict, text: `${item.edit.instruction}; s1 ${compliance}` });
    }
    return results;
  };
  const results = await scored(editor, run.onPicture);
  const targetOf = new Map(items.map(({ source, target }) => [source, target]));
  const { reconstruct } = run;
  const controls: [string, ScoredEdit[]][] = [
    ['copy the source', await scored(async (source) => source)],
    ['the target itself', await scored(async (source) => targetOf.get(source)!)],
    ...(reconstruct
      ? ([['target after the tokenizer', await scored((source) => reconstruct(targetOf.get(source)!))]] satisfies [
          string,
          ScoredEdit[],
        ][])
      : []),
    ['a random scene', await scored(randomScenes(world, items[0]!.source.width, seed + 1))],
  ];
  return { report: reportOf(run, results, controls), results };
}

function randomScenes(world: World, size: number, seed: number): Editor {
  let index = 0;
  return async () => world.render(world.scene(seed, index++, 'any'), size);
}

const total = ({ scores }: ScoredEdit) => itemScore(clamped(scores));

function reportOf(
  run: ImgEditRun,
  results: readonly ScoredEdit[],
  controls: readonly (readonly [string, readonly ScoredEdit[]])[],
): Report {
  const types = [...new Set(results.map(({ type }) => type))];
  const strata = types.map((type) => results.filter((result) => result.type === type));
  const seed = run.seed;
  const unit = 'edits';
  const scored = (list: readonly ScoredEdit[], score = total) =>
    imgEditMeans(list.map((result) => ({ type: result.type, score: score(result) })));
  const controlRows = [['the evaluated', results] as const, ...controls].map(([name, list]) => {
    const of = (key: keyof EditScores) => mean(list.map(({ scores }) => scores[key]));
    const [held, free] = [scored(list), scored(list, ({ scores }) => itemScore(scores))];
    return [name, of('compliance'), of('naturalness'), of('detail'), held.macro, held.micro, free.macro, free.micro];
  });
  return {
    name: 'emoji-ImgEdit',
    judge: `${run.checker.name}; PSNR inside and outside of the changed region`,
    images: results.length,
    seed,
    sampler: { source: run.source.name, ...run.source.sampler },
    scores: [
      {
        name: 'emoji-ImgEdit overall (mean of types)',
        estimate: bootstrapStrata(strata, (drawn) => mean(drawn.map((list) => mean(list.map(total)))), { seed }),
        unit,
      },
      {
        name: 'emoji-ImgEdit overall (mean of items)',
        estimate: bootstrapStrata(strata, (drawn) => mean(drawn.flat().map(total)), { seed }),
        unit,
      },
      ...strata.map((list, i) => ({
        name: `emoji-ImgEdit ${types[i]}`,
        estimate: bootstrapStrata([list], ([drawn]) => mean(drawn!.map(total)), { seed }),
        unit,
      })),
    ],
    tables: [
      {
        title: 'Controls (s1, s2, s3 before, overall after and without holding s2 and s3 at s1)',
        columns: ['pictures', 's1', 's2', 's3', 'macro', 'micro', 'macro free', 'micro free'],
        rows: controlRows,
      },
      ...(run.validation ? [run.validation] : []),
    ],
    notes: [closedWorldNote, 'Scores of 1 to 5 come from a fixed mapping, not from a judge that looks.'],
  };
}
