/**
 * Byte mutations of sound files. Whatever the bytes are, a reader must either refuse them with a CheckpointError or
 * list tensors that lie inside of the file and can be read; nothing else may be thrown, and it may not take long.
 */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteMutation, mutate, nudge } from '../../test/byte-mutations.ts';
import { writeArchive } from '../../test/checkpoints/archive-writer.ts';
import { memorySource } from '../../test/checkpoints/memory-source.ts';
import { dtypes } from '../tensor/dtype.ts';
import type { ByteSource } from './byte-source.ts';
import { CheckpointError } from './error.ts';
import { readSafetensors } from './safetensors.ts';
import { type CheckpointParts, createCheckpoint } from './source.ts';
import { readTorchCheckpoint } from './torch.ts';
import { maximumExpandedBytes } from './torch-pickle.ts';
import { readZip } from './zip.ts';

type Reader = (source: ByteSource) => Promise<CheckpointParts>;

/** Milliseconds for one file of a few kilobytes; far above what it takes, far below what an endless loop takes. */
const patience = 5000;

const sample = (name: string) => readFile(fileURLToPath(new URL(`../../test/checkpoints/${name}`, import.meta.url)));

const mutation = byteMutation({ removed: 16, copied: 64 });

/** Checks the promise for one file; true if it was read, false if it was refused. */
async function survives(bytes: Buffer, read: Reader): Promise<boolean> {
  const start = performance.now();
  let sound = true;
  try {
    const checkpoint = createCheckpoint(await read(memorySource(bytes)));
    for (const [name, { dtype, shape, offset, byteLength }] of checkpoint.entries) {
      expect(offset).toBeGreaterThanOrEqual(0);
      expect(offset + byteLength).toBeLessThanOrEqual(bytes.length);
      try {
        const { data } = await checkpoint.read(name);
        expect(data.length).toBe(shape.reduce((count, size) => count * size, 1));
        expect(data.byteLength).toBeLessThanOrEqual(Math.max(bytes.length, maximumExpandedBytes));
        expect(data).toBeInstanceOf(dtypes[dtype].array);
      } catch (error) {
        // A bool that is neither 0 nor 1 is found when it is read.
        if (!(error instanceof CheckpointError)) throw error;
      }
    }
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    expect(error.message.length).toBeLessThan(10_000);
    sound = false;
  }
  expect(performance.now() - start).toBeLessThan(patience);
  return sound;
}

/** `region` is the part of the file that is changed. */
async function fuzz(
  bytes: Buffer,
  read: Reader,
  seed: number,
  numRuns: number,
  region: readonly [number, number] = [0, bytes.length],
) {
  let sound = 0;
  let refused = 0;
  expect(await survives(bytes, read)).toBe(true);
  const [begin, end] = region;
  const changes = fc.oneof(
    nudge.map((change) => [change]),
    fc.array(mutation, { minLength: 1, maxLength: 3 }),
  );
  const property = fc.asyncProperty(changes, async (list) => {
    const middle = list.reduce(mutate, bytes.subarray(begin, end));
    const whole = Buffer.concat([bytes.subarray(0, begin), middle, bytes.subarray(end)]);
    if (await survives(whole, read)) sound++;
    else refused++;
  });
  await fc.assert(property, { seed, numRuns });
  // Were all refused, or none, the mutations would not reach what they are meant to test.
  expect(refused).toBeGreaterThan(numRuns / 10);
  expect(sound).toBeGreaterThan(numRuns / 100);
}

describe('mutated safetensors files', () => {
  it('are refused or read', async () => {
    await fuzz(await sample('reference.safetensors'), readSafetensors, 11, 1500);
  });

  it('are refused or read when only the header changes', async () => {
    const bytes = await sample('reference.safetensors');
    await fuzz(bytes, readSafetensors, 12, 1500, [8, 8 + Number(bytes.readBigUInt64LE(0))]);
  });

  it('are refused or read when they are any bytes', async () => {
    const property = fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      await survives(Buffer.from(bytes), readSafetensors);
    });
    await fc.assert(property, { seed: 13, numRuns: 500 });
  });
});

describe('mutated PyTorch archives', () => {
  it.each(['views.pt', 'protocol4.pt', 'parameters.pt'])('are refused or read: %s', async (name) => {
    await fuzz(await sample(name), (source) => readTorchCheckpoint(source), 21, 800);
  });

  // The pickle is mutated before the archive is written around it, so that the archive itself stays sound.
  it.each(['dtypes.pt', 'protocol4.pt', 'training.pt', 'parameters.pt'])(
    'are refused or read when only the pickle changes: %s',
    async (name) => {
      const source = memorySource(await sample(name));
      const members: { name: string; data: Buffer }[] = [];
      for (const member of (await readZip(source)).values()) {
        const data = Buffer.alloc(member.size);
        await source.readInto(data, member.offset);
        members.push({ name: member.name, data });
      }
      const pickle = members.find((member) => member.name.endsWith('/data.pkl'))!;
      const wrapped: Reader = async (changed) => {
        const data = Buffer.alloc(changed.size);
        await changed.readInto(data, 0);
        const all = members.map((member) => (member === pickle ? { ...member, data } : member));
        const archive = memorySource(writeArchive(all));
        const parts = await readTorchCheckpoint(archive);
        for (const { offset, byteLength } of parts.entries.values()) {
          expect(offset + byteLength).toBeLessThanOrEqual(archive.size);
        }
        // The tensors lie in the archive, not in the pickle that the caller has: they were checked here.
        for (const key of parts.entries.keys()) await createCheckpoint(parts).read(key).catch(expectRefusal);
        return { ...parts, entries: new Map() };
      };
      await fuzz(pickle.data, wrapped, 31, 800);
    },
  );
});

function expectRefusal(error: unknown): void {
  if (!(error instanceof CheckpointError)) throw error;
}
