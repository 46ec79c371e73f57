import { describe, expect, test } from 'vitest';
import { testRuntime } from '../../test/runtime/contract.ts';
import { chooseDevice, Runtime } from './runtime.ts';
import { webGpuProblem } from './webgpu.ts';

testRuntime({ name: 'Node, CPU', create: () => Runtime.create({ device: 'cpu', threads: 2 }) });

const problem = await webGpuProblem();
if (problem === undefined) testRuntime({ name: 'Node, WebGPU', create: () => Runtime.create({ device: 'webgpu' }) });
else describe.skip(`runtime contract: Node, WebGPU (skipped: ${problem})`, () => test('runs', () => {}));

describe('devices', () => {
  test('the CPU is what it is asked for', async () => {
    expect(await chooseDevice('cpu')).toEqual({ requested: 'cpu', chosen: 'cpu', reason: 'The CPU was asked for.' });
  });

  test('auto always finds one, and says why', async () => {
    const choice = await chooseDevice('auto');
    expect(choice.requested).toBe('auto');
    if (problem === undefined) expect(choice.reason).not.toBe('');
    else {
      expect(choice.chosen).toBe('cpu');
      expect(choice.reason).toMatch(/^WebGPU cannot be used: .+\. The CPU is .+\.$/s);
    }
  });

  test('WebGPU is used, or refused with the reason', async () => {
    if (problem === undefined) expect((await chooseDevice('webgpu')).chosen).toBe('webgpu');
    else {
      await expect(chooseDevice('webgpu')).rejects.toMatchObject({
        code: 'runtime_device_unavailable',
        details: { reason: problem },
      });
    }
  });

  test('options out of range are refused', async () => {
    await expect(Runtime.create({ device: 'gpu' as 'cpu' })).rejects.toThrow(/device must be one of .*got gpu/);
    await expect(Runtime.create({ device: 'cpu', threads: 1.5 })).rejects.toThrow(/threads must be .*got 1.5/);
    await expect(Runtime.create({ logLevel: 'loud' as 'fatal' })).rejects.toThrow(/logLevel must be one of/);
  });
});
