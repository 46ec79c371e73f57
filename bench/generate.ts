/**
 * Guided generation in given shapes with random weights, to run beside a PyTorch peer. Prints the peer's JSON line.
 *
 *   npx tsx bench/generate.ts bench/shapes/small.json [--batch N] [--steps N] [--threads N] [--peer "COMMAND"]
 *
 * `--peer` runs a command that prints the same JSON, in turn with ours, and adds the ratio of the medians.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { cacheNames, compileEngine } from '../src/models/star/engine.ts';
import { declareBase, declarePictureParts } from '../src/models/star/parameters.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import type { StarModel } from '../src/tasks/star-model.ts';
import { runTokens } from '../src/tasks/token-loop.ts';
import { benchConfigs, randomWeights, readShapes } from './random-model.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: 'string', default: '1' },
    steps: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    peer: { type: 'string' },
  },
});
const shapes = readShapes(positionals[0] ?? 'bench/shapes/small.json');
const [batch, steps, threads] = [Number(values.batch), Number(values.steps), Number(values.threads)];
const { star, qwen } = benchConfigs(shapes);
await using weights = await randomWeights((declare) => {
  declareBase(declare, qwen);
  declarePictureParts(declare, star, qwen);
});
await using runtime = await Runtime.create({ device: 'cpu', threads });
const engine = await runtime.load(compileEngine(weights.declare, star, qwen), { weightsFolder: weights.folder });
const names = cacheNames(star, qwen);
const model = { folder: { star, qwen }, cacheNames: [...names.base, ...names.stack] } as unknown as StarModel;

const branch = (offset: number) =>
  Array.from({ length: shapes.prompt_tokens }, (_, i) => (i * 7 + offset) % shapes.vocab_size);
const positions = Int32Array.from({ length: 3 * shapes.prompt_tokens }, (_, index) => index % shapes.prompt_tokens);

async function generate(): Promise<number> {
  const started = performance.now();
  const run = {
    prompt: { branches: [branch(5), branch(11)], positions, nextPosition: shapes.prompt_tokens },
    drawPicture: true,
    images: batch,
    seed: 1,
    guidance: 3,
    sampling: { temperature: 1, topK: 1000, topP: 1, repetitionPenalty: 1 },
    maxTokens: shapes.image_tokens,
    chunk: () => star.pixelEncoder.gridSize,
    stopTokens: [],
  };
  for await (const _ of runTokens(model, engine, run));
  return (performance.now() - started) / 1000;
}

await generate();
const times: number[] = [];
for (let step = 0; step < steps; step++) times.push(await generate());
times.sort((a, b) => a - b);
const median = times[Math.floor(times.length / 2)]!;
const result = {
  peer: 'starstack',
  job: 'generate',
  batch,
  seconds_median: median,
  seconds_min: times[0]!,
  per_second: (batch * shapes.image_tokens) / median,
  unit: 'image tokens/s',
  milliseconds_per_token: (1000 * median) / shapes.image_tokens,
};
console.log(JSON.stringify(result));
if (values.peer) {
  const output = execFileSync('sh', ['-c', values.peer], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const peer = JSON.parse(output.trim().split('\n').at(-1)!) as { seconds_median: number };
  console.log(JSON.stringify({ ours: median, peer: peer.seconds_median, times_faster: peer.seconds_median / median }));
}
