/** Pictures drawn one after another, each from a prompt of its own, told as one task. */
import type { RgbImage } from '../image/rgb-image.ts';
import { AbortedError } from './error.ts';
import type { PictureEvent, PictureResult, Timings } from './events.ts';
import type { ResolvedPictureOptions } from './options.ts';

export interface DrawEach extends Pick<ResolvedPictureOptions, 'count' | 'onAbort'> {
  /** Of the first picture; picture i has `seed + i`. */
  readonly seed: number;
  /** Draws one picture. */
  readonly draw: (seed: number) => AsyncGenerator<PictureEvent, PictureResult, void>;
}

/** Progress is that of all pictures together. After an abort that keeps what is done, pictures that were not begun are left out. */
export async function* drawEach(each: DrawEach): AsyncGenerator<PictureEvent, PictureResult, void> {
  const { count, seed, draw } = each;
  const results: PictureResult[] = [];
  const told = { started: false };
  for (let index = 0; index < count; index++) {
    const finished = results.flatMap(({ images }) => images);
    const events = draw(seed + index);
    let step: IteratorResult<PictureEvent, PictureResult>;
    try {
      for (step = await events.next(); !step.done; step = await events.next()) {
        const event = shared(step.value, { index, count, seed, finished, told });
        if (event) yield event;
      }
    } catch (error) {
      if (each.onAbort === 'keep' && error instanceof AbortedError && results.length > 0) return yield* end(true);
      throw error;
    }
    results.push(step.value);
    if (step.value.finishReason === 'aborted') return yield* end(true);
  }
  return yield* end(false);

  function* end(aborted: boolean): Generator<PictureEvent, PictureResult, void> {
    const [first] = results;
    const result: PictureResult = {
      ...first!,
      images: results.flatMap(({ images }) => images),
      finishReason: aborted ? 'aborted' : 'complete',
      warnings: results.flatMap(({ warnings }) => warnings),
      timings: results.map(({ timings }) => timings).reduce(summed),
    };
    yield { type: 'picture-end', result };
    return result;
  }
}

interface Place {
  readonly index: number;
  readonly count: number;
  readonly seed: number;
  /** Pictures before this one. */
  readonly finished: readonly RgbImage[];
  readonly told: { started: boolean };
}

/** An event of one picture as one of all; undefined where it was told before or will be. */
function shared(event: PictureEvent, place: Place): PictureEvent | undefined {
  const { index, count, seed, finished, told } = place;
  const ofAll = (done: number, total: number) => Math.floor((index * total + done) / count);
  switch (event.type) {
    case 'picture-start': {
      if (told.started) return undefined;
      told.started = true;
      return { ...event, seed, count };
    }
    case 'picture-progress':
      return { ...event, doneTokens: ofAll(event.doneTokens, event.totalTokens) };
    case 'diffusion-progress':
      return { ...event, doneSteps: ofAll(event.doneSteps, event.totalSteps) };
    case 'preview-available': {
      const [own] = event.previews;
      const later = Array.from({ length: count - index - 1 }, () => blank(own!));
      return { ...event, previews: [...finished, own!, ...later] };
    }
    case 'image-end':
      return { ...event, index };
    case 'picture-end':
      return undefined;
    default:
      return event;
  }
}

/** A picture that is not begun. */
function blank({ width, height, data }: RgbImage): RgbImage {
  return { width, height, data: new Uint8Array(data.length).fill(127) };
}

function summed(a: Timings, b: Timings): Timings {
  return Object.fromEntries(
    [...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]),
  );
}
