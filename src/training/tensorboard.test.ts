import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crc32c, TensorBoardLog } from './tensorboard.ts';

/** Made by test/training/tensorboard.py, from the definitions of the messages and a bitwise CRC of its own. */
const golden = [
  '1a00000000000000129bd82d0900001040fc54d94110001a0d627261696e2e4576656e743a3252ef97931000000000000000',
  '95fbfe180900001040fc54d94110ad023a020801cb79b93b3b000000000000001a23ac5c0900001040fc54d9411080e497d0',
  '122a2a0a100a09737465702f6c6f737315cdcccc3d0a160a0f707265766965772f6772c3b6c39f6515000060c08fa88b8cf0',
  '00000000000000974165aa0900001040fc54d94110ad022ae1010ade010a077072657669657722d201081410ac02180322c8',
  '010102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031',
  '32333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60616263',
  '6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495',
  '969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7',
  'c8f02dc32d',
].join('');

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'starstack-tensorboard-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('TensorBoardLog', () => {
  it('writes the bytes of the format', async () => {
    const folder = join(root, 'golden');
    {
      await using log = await TensorBoardLog.create(folder, 300, () => 1_700_000_000.25);
      await log.append(5_000_000_000, { scalars: { 'step/loss': 0.1, 'preview/größe': -3.5 } });
      const png = Uint8Array.from({ length: 200 }, (_, index) => index + 1);
      await log.append(301, { pictures: { preview: { width: 300, height: 20, png } } });
    }
    const [name] = await readdir(folder);
    expect(name).toBe('events.out.tfevents.1700000000.starstack.0');
    expect((await readFile(join(folder, name!))).toString('hex')).toBe(golden);
  });

  it('starts another file in the same second', async () => {
    const folder = join(root, 'twice');
    for (const step of [0, 4]) await (await TensorBoardLog.create(folder, step, () => 5))[Symbol.asyncDispose]();
    expect((await readdir(folder)).sort()).toEqual([
      'events.out.tfevents.0000000005.starstack.0',
      'events.out.tfevents.0000000005.starstack.1',
    ]);
  });
});

it.each([
  ['123456789', 0xe3069283],
  ['', 0],
  ['\0'.repeat(32), 0x8a9136aa],
])('crc32c of %j is that of RFC 3720', (text, expected) => {
  expect(crc32c(Buffer.from(text, 'latin1'))).toBe(expected);
});
