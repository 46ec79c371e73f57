import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { readReference, readReferenceMeta, referencePath } from '../../test/reference-vectors.ts';
import { loadChatFormat, loadTokenizer } from '../models/qwen25vl/folder.ts';
import { openModelFolder } from '../models/star/folder.ts';
import { buildGenerationPrompt } from '../models/star/prompt.ts';
import { openStarWeights } from '../models/star/weights.ts';
import type { CompiledProgram } from '../tensor/index.ts';
import { generationBatch, generationStage } from './generation-loss.ts';
import { compileTrainingStep, type TrainingStepOptions } from './step.ts';

type Feeds = Record<string, OrtTensor>;

const shapes = { batch: 2, promptTokens: 34 };
const folder = await openModelFolder(referencePath('tiny-a', '.'));
const weights = await openStarWeights(folder);
const stage = generationStage(folder.star, folder.qwen, shapes);

async function samples() {
  const format = await loadChatFormat(folder.languageModelFolder, await loadTokenizer(folder.languageModelFolder));
  const { train_generation } = readReferenceMeta('tiny-a') as { train_generation: { prompts: string[] } };
  const targets = readReference('tiny-a', 'train_generation').targets!.data as Int32Array;
  const { numTokens } = folder.star.pixelEncoder;
  return train_generation.prompts.map((text, row) => ({
    prompt: buildGenerationPrompt(format, text).conditional,
    codes: targets.slice(row * numTokens, (row + 1) * numTokens),
  }));
}

async function startState(): Promise<Feeds> {
  const feeds: Feeds = { updates: new OrtTensor('int64', BigInt64Array.of(0n), []) };
  for (const [name, shape] of stage.trained) {
    const count = shape.reduce((a, b) => a * b, 1);
    feeds[`weight.${name}`] = new OrtTensor('float32', await weights.read(name), shape);
    feeds[`first_moment.${name}`] = new OrtTensor('float32', new Float32Array(count), shape);
    feeds[`second_moment.${name}`] = new OrtTensor('float32', new Float32Array(count), shape);
  }
  return feeds;
}

/** Data of several steps: the codes of step k are turned by k, so that every step has data of its own. */
async function dataOf(steps: readonly number[], rates: readonly number[]): Promise<Feeds> {
  const base = await samples();
  const batches = steps.map((turn) => {
    const turned = base.map(({ prompt, codes }) => ({
      prompt,
      codes: [...codes.slice(turn), ...codes.slice(0, turn)],
    }));
    return generationBatch(turned, folder.star, folder.qwen, shapes);
  });
  const feeds: Feeds = { learning_rate: new OrtTensor('float32', Float32Array.from(rates), [rates.length]) };
  for (const { name, shape } of stage.data) {
    const values = batches.flatMap((batch) => [...(batch[name as 'targets'].data as BigInt64Array)]);
    feeds[name] = new OrtTensor('int64', BigInt64Array.from(values), [steps.length, ...shape]);
  }
  return feeds;
}

async function open(program: CompiledProgram) {
  return InferenceSession.create(program.model, {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { model_external_initializers_file_folder_path: weights.folder } },
  });
}

const compileStep = (options: TrainingStepOptions) => compileTrainingStep(stage, weights.declare, options);

function nextState(state: Feeds, results: Readonly<Record<string, OrtTensor>>): Feeds {
  return Object.fromEntries(Object.keys(state).map((name) => [name, results[`next.${name}`]!]));
}

describe('a training step', () => {
  it('gives bit for bit the same in one run of three steps as in three runs', async () => {
    const rates = [1e-3, 3e-3, 2e-3];
    const single = await open(compileStep({ steps: 1 }));
    let state = await startState();
    const losses: number[] = [];
    for (const [step, rate] of rates.entries()) {
      const results = await single.run({ ...state, ...(await dataOf([step], [rate])) });
      losses.push(...(results.loss!.data as Float32Array));
      state = nextState(state, results as Record<string, OrtTensor>);
    }
    const several = await open(compileStep({ steps: 3 }));
    const start = await startState();
    const results = await several.run({ ...start, ...(await dataOf([0, 1, 2], rates)) });
    expect([...(results.loss!.data as Float32Array)]).toEqual(losses);
    expect(results.per_sample_nll!.dims).toEqual([3, 2]);
    expect(new Set(losses).size).toBe(3);
    for (const [name, tensor] of Object.entries(state)) {
      expect(results[`next.${name}`]!.data, name).toEqual(tensor.data);
    }
    expect(state.updates!.data).toEqual(BigInt64Array.of(3n));
    await single.release();
    await several.release();
  });

  it('learns a batch by heart', async () => {
    const steps = 25;
    const session = await open(compileStep({ steps, optimizer: { weightDecay: 0 } }));
    const data = await dataOf(new Array(steps).fill(0), new Array(steps).fill(1e-2));
    const { loss, applied } = await session.run({ ...(await startState()), ...data });
    const values = loss!.data as Float32Array;
    expect(applied!.data).toEqual(new Uint8Array(steps).fill(1));
    expect(values[0]).toBeCloseTo(readReference('tiny-a', 'train_generation').loss!.data[0]!, 4);
    expect(values[steps - 1]!).toBeLessThan(values[0]! / 2);
    await session.release();
  });

  it('goes on with the other steps after one that is not finite', async () => {
    const session = await open(compileStep({ steps: 2 }));
    const state = await startState();
    const broken = state['weight.pixel_output_head.bias']!;
    const results = await session.run({
      ...state,
      'weight.pixel_output_head.bias': new OrtTensor(
        'float32',
        (broken.data as Float32Array).map((value, index) => (index === 3 ? Number.NaN : value)),
        broken.dims,
      ),
      ...(await dataOf([0, 1], [1e-3, 1e-3])),
    });
    expect(results.applied!.data).toEqual(Uint8Array.of(0, 0));
    expect(results['next.updates']!.data).toEqual(BigInt64Array.of(0n));
    expect(results['next.weight.pixel_output_head.weight']!.data).toEqual(
      state['weight.pixel_output_head.weight']!.data,
    );
    await session.release();
  });

  it('moves matrices inside the network by Muon, and those at its ends, vectors and scales by AdamW', async () => {
    const feeds = { ...(await startState()), ...(await dataOf([0], [1e-3])) };
    const movedBy = async (matrices: 'adamw' | 'muon') => {
      const session = await open(compileStep({ optimizer: { matrices } }));
      const results = await session.run(feeds);
      await session.release();
      return results;
    };
    const [adamw, muon] = [await movedBy('adamw'), await movedBy('muon')];
    const next = (results: typeof adamw, name: string) => results[`next.weight.${name}`]!.data as Float32Array;
    const others = [...stage.trained.keys()].filter(
      (name) => !next(adamw, name).every((value, index) => value === next(muon, name)[index]),
    );
    const inner = [...stage.trained.keys()].filter((name) => /(_proj|adapter\.layers\.\d)\.weight$/.test(name));
    expect(inner.length).toBeGreaterThan(5);
    expect(others.filter((name) => !inner.includes(name))).toEqual([]);
    expect(inner.filter((name) => !others.includes(name))).toEqual([]);
    expect([...stage.trained.keys()]).toContain('pixel_output_head.weight');
  });

  it('has no state for what is frozen', () => {
    const program = compileStep({});
    const frozen = program.inputs.filter(({ name }) => /llm\.|pixel_encoder\./.test(name));
    expect(frozen).toEqual([]);
    expect(program.inputs.filter(({ name }) => name.startsWith('weight.')).length).toBe(stage.trained.size);
  });

  it('refuses a number of steps that is none', () => {
    for (const steps of [0, 1.5, -1, Number.NaN]) expect(() => compileStep({ steps })).toThrow(/steps is/);
  });
});
