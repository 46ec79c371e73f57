/**
 * GenEval's decision for one picture, to the letter (djghosh13/geneval, `evaluation/evaluate_images.py`: `evaluate`,
 * `relative_position` and the filters of `evaluate_image`). Only the detector is left to the caller, and the colour with it:
 * the official code asks CLIP, a detection here brings its colour along.
 */
import type { GenevalClause, GenevalPrompt } from './prompt-file.ts';

/** Corners in pixels. */
export interface CornerBox {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

export interface Detection {
  readonly class: string;
  readonly box: CornerBox;
  /** In [0, 1]. */
  readonly confidence: number;
  /** One of the ten; `null` where the judge saw none. */
  readonly colour: string | null;
}

export interface DecisionOptions {
  /** Detections must score above it. Default 0.3. */
  readonly threshold?: number;
  /** The same for the tag counting. Default 0.9. */
  readonly countingThreshold?: number;
  /** Of one class, the surest first. Default 16. */
  readonly maxObjects?: number;
  /** Below 1, a detection that overlaps a surer one of its class so much is dropped. Default 1: none is. */
  readonly maxOverlap?: number;
  /** Share of both sizes by which an offset must exceed nothing. Default 0.1. */
  readonly positionThreshold?: number;
}

export interface Decision {
  readonly correct: boolean;
  /** One for each fault, in words. */
  readonly reasons: readonly string[];
}

/** What the official code looks at: by class, the surest first. */
export function detectionsByClass(
  detections: readonly Detection[],
  tag: string,
  { threshold = 0.3, countingThreshold = 0.9, maxObjects = 16, maxOverlap = 1 }: DecisionOptions = {},
): Map<string, Detection[]> {
  const least = tag === 'counting' ? countingThreshold : threshold;
  const sorted = [...detections].sort((a, b) => b.confidence - a.confidence);
  const byClass = new Map<string, Detection[]>();
  for (const detection of sorted) {
    if (!(detection.confidence > least)) continue;
    const kept = byClass.get(detection.class) ?? [];
    if (!byClass.has(detection.class)) byClass.set(detection.class, kept);
    // As there, the limit of objects comes before the overlap.
    if (kept.length < maxObjects) kept.push(detection);
  }
  if (maxOverlap < 1) {
    for (const [name, list] of byClass) byClass.set(name, withoutOverlaps(list, maxOverlap));
  }
  return byClass;
}

function withoutOverlaps(sorted: readonly Detection[], maxOverlap: number): Detection[] {
  const kept: Detection[] = [];
  for (const detection of sorted) {
    if (kept.every((other) => overlapOf(other.box, detection.box) < maxOverlap)) kept.push(detection);
  }
  return kept;
}

/** Intersection over union, sides one pixel longer than the difference of the corners, as there. */
export function overlapOf(a: CornerBox, b: CornerBox): number {
  const area = (box: CornerBox) => Math.max(box.x2 - box.x1 + 1, 0) * Math.max(box.y2 - box.y1 + 1, 0);
  const common = area({
    x1: Math.max(a.x1, b.x1),
    y1: Math.max(a.y1, b.y1),
    x2: Math.min(a.x2, b.x2),
    y2: Math.min(a.y2, b.y2),
  });
  const union = area(a) + area(b) - common;
  return union > 0 ? common / union : 0;
}

export interface RelativePosition {
  /** Two may hold at once; none where the boxes nearly share their centre. */
  readonly relations: readonly ('left of' | 'right of' | 'above' | 'below')[];
  /** Reduced offset over the length of the unreduced one. */
  readonly dx: number;
  readonly dy: number;
}

/** Where A stands as seen from B. */
export function relativePosition(a: CornerBox, b: CornerBox, positionThreshold = 0.1): RelativePosition {
  const offset = (low: 'x1' | 'y1', high: 'x2' | 'y2') => (a[low] + a[high]) / 2 - (b[low] + b[high]) / 2;
  const sizes = (low: 'x1' | 'y1', high: 'x2' | 'y2') => Math.abs(a[high] - a[low]) + Math.abs(b[high] - b[low]);
  const reduce = (o: number, size: number) => Math.max(Math.abs(o) - positionThreshold * size, 0) * Math.sign(o);
  const [ox, oy] = [offset('x1', 'x2'), offset('y1', 'y2')];
  const [rx, ry] = [reduce(ox, sizes('x1', 'x2')), reduce(oy, sizes('y1', 'y2'))];
  if (Math.abs(rx) < 1e-3 && Math.abs(ry) < 1e-3) return { relations: [], dx: 0, dy: 0 };
  const length = Math.hypot(ox, oy);
  const [dx, dy] = [rx / length, ry / length];
  const relations: RelativePosition['relations'][number][] = [];
  if (dx < -0.5) relations.push('left of');
  if (dx > 0.5) relations.push('right of');
  if (dy < -0.5) relations.push('above');
  if (dy > 0.5) relations.push('below');
  return { relations, dx, dy };
}

/** Whether a picture with these detections shows what the prompt asks for. */
export function decide(
  prompt: Pick<GenevalPrompt, 'tag' | 'include' | 'exclude'>,
  detections: readonly Detection[],
  options: DecisionOptions = {},
): Decision {
  const objects = detectionsByClass(detections, prompt.tag, options);
  const reasons: string[] = [];
  const groups: (readonly Detection[] | null)[] = [];
  for (const clause of prompt.include) {
    // Only the surest `count` are looked at: a right one behind a surer wrong one does not help.
    const found = (objects.get(clause.class) ?? []).slice(0, clause.count);
    const fault = faultOf(clause, found, groups, options.positionThreshold);
    if (fault !== undefined) reasons.push(fault);
    groups.push(fault === undefined ? found : null);
  }
  for (const { class: name, count } of prompt.exclude ?? []) {
    const found = objects.get(name)?.length ?? 0;
    if (found >= count) reasons.push(`expected ${name}<${count}, found ${found}`);
  }
  return { correct: reasons.length === 0, reasons };
}

function faultOf(
  { class: name, count, color, position }: GenevalClause,
  found: readonly Detection[],
  groups: readonly (readonly Detection[] | null)[],
  positionThreshold?: number,
): string | undefined {
  if (found.length < count) return `expected ${name}>=${count}, found ${found.length}`;
  if (color !== undefined) {
    const colours = found.map(({ colour }) => colour);
    const right = colours.filter((colour) => colour === color).length;
    if (right < count) return `expected ${color} ${name}>=${count}, found ${right} ${color}; ${colours.join(', ')}`;
  }
  if (position === undefined) return undefined;
  const [relation, index] = position;
  const target = groups[index];
  if (!target) return `no target for ${name} to be ${relation}`;
  for (const object of found) {
    for (const other of target) {
      const { relations } = relativePosition(object.box, other.box, positionThreshold);
      if (!relations.includes(relation)) {
        return `expected ${name} ${relation} target, found ${relations.join(' and ') || 'no relation'}`;
      }
    }
  }
  return undefined;
}
