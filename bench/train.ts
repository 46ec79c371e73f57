/**
 * Training steps of the generation stage in given shapes with random weights, to run beside a PyTorch peer: forward,
 * backward, clipping to norm 1, AdamW. Prints the peer's JSON line.
 *
 *   npx tsx bench/train.ts bench/shapes/small.json [--batch N] [--steps N] [--threads N] [--peer "COMMAND"] [--profile]
 *
 * A run is one step: state goes in and comes out. The first run fills ONNX Runtime's arena, the second finds its final
 * layout; both warm up. `--peer` runs a command that prints the same JSON, after ours, and adds the ratio. `--profile` adds
 * ONNX Runtime's time by operator (which slows the run down).
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { declareBase, declarePictureParts } from '../src/models/star/parameters.ts';
import { generationBatch, generationStage } from '../src/training/generation-loss.ts';
import { compileTrainingStep } from '../src/training/step.ts';
import { benchConfigs, randomWeights, readShapes } from './random-model.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: 'string', default: '8' },
    steps: { type: 'string', default: '2' },
    threads: { type: 'string', default: '2' },
    peer: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
});
const shapes = readShapes(positionals[0] ?? 'bench/shapes/small.json');
const [batch, steps, threads] = [Number(values.batch), Number(values.steps), Number(values.threads)];
const { star, qwen } = benchConfigs(shapes);
await using weights = await randomWeights((declare) => {
  declareBase(declare, qwen);
  declarePictureParts(declare, star, qwen);
});
const generation = { batch, promptTokens: shapes.prompt_tokens };
const stage = generationStage(star, qwen, generation);
const program = compileTrainingStep(stage, weights.declare, { optimizer: { clipNorm: 1 } });
const session = await InferenceSession.create(program.model, {
  intraOpNumThreads: threads,
  // With patterns the first runs hold activations twice: 7 instead of 4.5 GB at the small shapes, and fresh pages cost time.
  enableMemPattern: false,
  ...(values.profile ? { enableProfiling: true, profileFilePrefix: path.join(weights.folder, 'profile') } : {}),
  extra: { session: { model_external_initializers_file_folder_path: weights.folder } },
});

const sample = (row: number) => ({
  prompt: Array.from({ length: shapes.prompt_tokens }, (_, index) => (index * 7 + row) % shapes.vocab_size),
  codes: Array.from({ length: shapes.image_tokens }, (_, index) => (index * 31 + 7 * row) % shapes.codebook_size),
});
const one = generationBatch(
  Array.from({ length: batch }, (_, row) => sample(row)),
  star,
  qwen,
  generation,
);
const feeds: Record<string, Tensor> = {
  learning_rate: new Tensor('float32', Float32Array.of(1e-4), [1]),
};
for (const [name, { data, shape }] of Object.entries(one)) {
  feeds[name] = new Tensor('int64', data as BigInt64Array, [1, ...shape]);
}
for (const { name, dtype, shape } of program.inputs) {
  if (name in feeds) continue;
  const count = (shape as number[]).reduce((a, b) => a * b, 1);
  if (dtype === 'int64') feeds[name] = new Tensor('int64', new BigInt64Array(count), shape as number[]);
  else feeds[name] = new Tensor('float32', startValues(name, count), shape as number[]);
}

/** Weights as `randomWeights` draws them are not needed: any of their size give the same work. */
function startValues(name: string, count: number): Float32Array {
  const data = new Float32Array(count);
  if (!name.startsWith('weight.')) return data;
  return name.includes('norm') ? data.fill(1) : data.map((_, index) => 0.03 * Math.sin(index * 12.9898));
}

/** What the last run took of the processor and of memory, by the step. */
let usage: Record<string, number> = {};

/** Seconds a step, and the losses; the state goes on from run to run. */
async function run(): Promise<{ seconds: number; loss: number[] }> {
  const before = process.resourceUsage();
  const started = performance.now();
  const results = await session.run(feeds);
  const seconds = (performance.now() - started) / 1000;
  const after = process.resourceUsage();
  usage = {
    user_seconds: (after.userCPUTime - before.userCPUTime) / 1e6,
    system_seconds: (after.systemCPUTime - before.systemCPUTime) / 1e6,
    page_faults: after.minorPageFault - before.minorPageFault,
    peak_gigabytes: after.maxRSS / 2 ** 20,
  };
  for (const name of Object.keys(feeds)) if (`next.${name}` in results) feeds[name] = results[`next.${name}`] as Tensor;
  if (!(results.applied!.data as Uint8Array).every(Boolean)) throw new Error('a step was not finite');
  return { seconds, loss: [...(results.loss!.data as Float32Array)] };
}

await run();
await run();
const times: number[] = [];
let loss: number[] = [];
for (let step = 0; step < steps; step++) {
  const measured = await run();
  times.push(measured.seconds);
  loss = measured.loss;
}
times.sort((a, b) => a - b);
const median = times[Math.floor(times.length / 2)]!;
const result = {
  peer: 'starstack',
  job: 'train',
  batch,
  seconds_median: median,
  seconds_min: times[0]!,
  per_second: batch / median,
  unit: 'samples/s',
  loss: loss.at(-1)!,
  ...usage,
};
console.log(JSON.stringify(result));
if (values.profile) printProfile();
await session.release();
if (values.peer) {
  const output = execFileSync('sh', ['-c', values.peer], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const peer = JSON.parse(output.trim().split('\n').at(-1)!) as { seconds_median: number };
  console.log(JSON.stringify({ ours: median, peer: peer.seconds_median, times_faster: peer.seconds_median / median }));
}

interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  /** Microseconds, as `dur`. */
  readonly ts: number;
  readonly dur: number;
  readonly args: { readonly op_name?: string; readonly input_type_shape?: unknown };
}

/**
 * Seconds by operator and shapes in the last step, and beside it what it would be if every call took as long as the shortest
 * of its kind: where other programs share the machine, that is the better guide.
 */
function printProfile(): void {
  // The binding does not tell the file's name.
  session.endProfiling();
  const file = path.join(weights.folder, readdirSync(weights.folder).find((name) => name.startsWith('profile'))!);
  const events = JSON.parse(readFileSync(file, 'utf8')) as ProfileEvent[];
  const start = Math.max(...events.filter(({ name }) => name === 'model_run').map(({ ts }) => ts));
  const totals = new Map<string, { time: number; calls: number; shortest: number }>();
  for (const { cat, name, ts, dur, args } of events) {
    const nested = args.op_name === 'Loop' || args.op_name === 'If';
    if (cat !== 'Node' || ts < start || nested || !name.endsWith('_kernel_time')) continue;
    const key = `${args.op_name} ${JSON.stringify(args.input_type_shape).replace(/[^0-9,[\]]/g, '')}`;
    const total = totals.get(key) ?? { time: 0, calls: 0, shortest: Infinity };
    totals.set(key, { time: total.time + dur, calls: total.calls + 1, shortest: Math.min(total.shortest, dur) });
  }
  const rows = [...totals].map(([key, { time, calls, shortest }]) => ({
    operator: key,
    calls,
    seconds: time / 1e6,
    at_shortest: (calls * shortest) / 1e6,
  }));
  const sum = (pick: (row: (typeof rows)[0]) => number) => rows.reduce((all, row) => all + pick(row), 0).toFixed(3);
  console.log(
    `profile: ${sum((row) => row.seconds)} s a step, ${sum((row) => row.at_shortest)} s at the shortest calls`,
  );
  for (const row of rows.sort((a, b) => b.at_shortest - a.at_shortest).slice(0, 60)) {
    console.log(`${row.seconds.toFixed(3)} ${row.at_shortest.toFixed(3)} ${row.calls} x ${row.operator}`);
  }
}
