/**
 * The entry of the process that tries WebGPU: it runs a program and prints what came of it as JSON. A process of its own,
 * so that a graphics driver that crashes takes nobody along.
 */
import * as ort from 'onnxruntime-node';
import { operatorModel } from './operator-model.ts';

async function probe(): Promise<string | undefined> {
  if (!ort.listSupportedBackends().some(({ name, bundled }) => name === 'webgpu' && bundled)) {
    return `the installed ONNX Runtime for ${process.platform} ${process.arch} has no WebGPU`;
  }
  const session = await ort.InferenceSession.create(operatorModel('Add', 2, 'float32'), {
    executionProviders: ['webgpu'],
    logSeverityLevel: 4,
  });
  const { y } = await session.run({ x: new ort.Tensor('float32', Float32Array.of(1.5, -2), [2]) });
  const sum = [...(y!.data as Float32Array)];
  return sum[0] === 3 && sum[1] === -4 ? undefined : `it computed 1.5 + 1.5 and -2 - 2 as ${sum.join(' and ')}`;
}

let problem: string | undefined;
try {
  problem = await probe();
} catch (error) {
  problem = error instanceof Error ? error.message : String(error);
}
process.stdout.write(`${JSON.stringify({ problem: problem ?? null })}\n`);
