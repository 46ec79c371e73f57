/**
 * The one decode loop, seen from outside: feeds a prompt to the engine and runs it chunk by chunk. Between chunks progress is
 * told and aborts are heeded; caches stay in the runtime.
 */
import { rotaryTables } from '../models/qwen25vl/positions.ts';
import type { Feeds } from '../runtime/feeds.ts';
import type { RemoteTensor } from '../runtime/remote-tensor.ts';
import type { Session } from '../runtime/session.ts';
import type { TensorValue } from '../tensor/index.ts';
import { uniform } from '../tensor/random.ts';
import { TaskError } from './error.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { Sampling } from './options.ts';

/** A prompt as the engine reads it. */
export interface EnginePrompt {
  /** Token ids by branch: the prompt, and with guidance the unconditional one. Equal lengths. */
  readonly branches: readonly (readonly number[])[];
  /** For each place 0 for its token, or 1 + its row in `semantic` followed by `pixelCodes`. Default: tokens only. */
  readonly inserted?: readonly number[];
  /** Embeddings of pictures from the vision encoder, `[rows, hidden]`. */
  readonly semantic?: TensorValue;
  /** VQ codes of a source picture. */
  readonly pixelCodes?: readonly number[];
  /** M-RoPE positions `[3, prompt]`. */
  readonly positions: Int32Array;
  /** Position of the first drawn token on all axes; the others follow one by one. */
  readonly nextPosition: number;
}

export interface TokenRun {
  readonly prompt: EnginePrompt;
  readonly drawPicture: boolean;
  /** Runs through the stacks that are for editing. Default false. */
  readonly editPicture?: boolean;
  readonly images: number;
  /** Seed of the first image; image i uses `seed + i`. */
  readonly seed: number;
  /** Stream of chance of the draws. Default 0. */
  readonly stream?: number;
  readonly guidance: number;
  readonly sampling: Sampling;
  readonly maxTokens: number;
  /** Turns of chunk number i. */
  readonly chunk: (index: number) => number;
  readonly stopTokens: readonly number[];
  /** Weights that the engine is fed (`fedWeights`). Default none. */
  readonly weights?: Feeds;
}

/** Tokens of one chunk: `tokens[turn][image]`. */
export interface TokenChunk {
  readonly tokens: readonly (readonly number[])[];
  readonly doneTokens: number;
  /** True when every image has drawn an end token. */
  readonly finished: boolean;
  /** Guided logits `[turns, images, vocabulary]` where the engine was compiled with them. */
  readonly outputs: Readonly<Record<string, TensorValue>>;
}

export async function* runTokens(
  model: LoadedModel,
  engine: Session,
  run: TokenRun,
): AsyncGenerator<TokenChunk, void, void> {
  const { qwen } = model.folder;
  const { text } = qwen;
  const { prompt, images } = run;
  const branches = prompt.branches.length;
  const length = prompt.branches[0]!.length;
  const caches = model.cacheNames;
  const rows = branches * images;
  const ids = prompt.branches.flatMap((branch) => Array.from({ length: images }, () => branch).flat());
  const fixed: Record<string, TensorValue> = {
    ...rotaryFeeds(model, prompt, length + run.maxTokens),
    semantic: prompt.semantic ?? float32([0, text.hiddenSize], []),
    pixel_codes: int64([prompt.pixelCodes?.length ?? 0], prompt.pixelCodes ?? []),
    draw_picture: bool([], [run.drawPicture ? 1 : 0]),
    edit_picture: bool([], [run.editPicture ? 1 : 0]),
    guidance: float32([], [run.guidance]),
    temperature: float32([], [run.sampling.temperature]),
    top_k: int64([1], [run.sampling.topK]),
    top_p: float32([], [run.sampling.topP]),
    repetition_penalty: float32([], [run.sampling.repetitionPenalty]),
    stop_tokens: int64([run.stopTokens.length], run.stopTokens),
  };
  const seen = new Uint8Array(images * text.vocabSize);
  for (let image = 0; image < images; image++)
    for (const id of prompt.branches[0]!) seen[image * text.vocabSize + id] = 1;
  const emptyCache = float32([rows, text.keyValueHeads, 0, text.headDim], []);
  const stateNames = ['embeddings', 'seen', 'finished', ...caches];
  let state: Record<string, TensorValue | RemoteTensor> = {
    embeddings: float32([rows, 0, text.hiddenSize], []),
    seen: bool([images, text.vocabSize], seen),
    finished: bool([images], new Array(images).fill(0)),
    ...Object.fromEntries(caches.map((name) => [name, emptyCache])),
  };
  let promptIds = int64([branches, images, length], ids);
  let inserted = int64([length], prompt.inserted ?? new Array(length).fill(0));
  let done = 0;
  try {
    for (let index = 0; done < run.maxTokens; index++) {
      const turns = Math.min(run.chunk(index), run.maxTokens - done);
      const uniforms = new Float32Array(turns * images);
      for (let turn = 0; turn < turns; turn++) {
        for (let image = 0; image < images; image++) {
          uniforms[turn * images + image] = uniform(run.seed + image, run.stream ?? 0, done + turn);
        }
      }
      const feeds = {
        ...run.weights,
        ...fixed,
        ...state,
        token_ids: promptIds,
        inserted,
        uniforms: float32([turns, images], uniforms),
      };
      const keep = stateNames.map((name) => `next.${name}`);
      const results = await engine.run(feeds, { keep });
      await release(state);
      state = Object.fromEntries(stateNames.map((name) => [name, results[`next.${name}`] as RemoteTensor]));
      // The prompt is read in the first chunk only.
      promptIds = int64([branches, images, 0], []);
      inserted = int64([0], []);
      const outputs = Object.fromEntries(
        Object.entries(results).filter(([name]) => !name.startsWith('next.')),
      ) as Record<string, TensorValue>;
      const drawn = outputs.tokens!;
      const made = drawn.shape[0]!;
      const tokens = Array.from({ length: made }, (_, turn) =>
        Array.from({ length: images }, (_, image) => Number(drawn.data[turn * images + image])),
      );
      if (tokens.some((turn) => turn.some((token) => token < 0))) throw notFinite(run.drawPicture);
      done += made;
      const finished =
        !run.drawPicture &&
        ((await (state.finished as RemoteTensor).read()).data as Uint8Array).every((flag) => flag === 1);
      yield { tokens, doneTokens: done, finished, outputs };
      if (finished) return;
    }
  } finally {
    await release(state);
  }
}

function notFinite(drawPicture: boolean): TaskError {
  const what = drawPicture ? 'the codes of a picture' : 'the next word';
  return new TaskError(
    'non_finite_output',
    `the model gave no finite numbers for ${what}; its weights are damaged, or an option is too extreme for them`,
  );
}

async function release(state: Record<string, TensorValue | RemoteTensor>): Promise<void> {
  const remote = new Set(Object.values(state).filter((value): value is RemoteTensor => 'dispose' in value));
  await Promise.all([...remote].map((tensor) => tensor.dispose()));
}

/** Rotary tables with one row for every token of the run, prompt and drawn. */
function rotaryFeeds(model: LoadedModel, { positions, nextPosition }: EnginePrompt, total: number) {
  const { headDim, ropeTheta, mropeSection } = model.folder.qwen.text;
  const prompt = positions.length / 3;
  const all = new Int32Array(3 * total);
  for (let axis = 0; axis < 3; axis++) {
    all.set(positions.subarray(axis * prompt, (axis + 1) * prompt), axis * total);
    for (let index = prompt; index < total; index++) all[axis * total + index] = nextPosition + index - prompt;
  }
  const { cos, sin } = rotaryTables(all, headDim, ropeTheta, mropeSection);
  return { cosine: float32([total, headDim / 2], cos), sine: float32([total, headDim / 2], sin) };
}

export function float32(shape: readonly number[], data: Iterable<number>): TensorValue {
  return { dtype: 'float32', shape, data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

export function int64(shape: readonly number[], data: readonly number[]): TensorValue {
  return { dtype: 'int64', shape, data: BigInt64Array.from(data, BigInt) };
}

export function bool(shape: readonly number[], data: ArrayLike<number>): TensorValue {
  return { dtype: 'bool', shape, data: Uint8Array.from(data) };
}
