/** The scale of a decoder's latents, kept where diffusers has it: `vae/config.json`. */
import path from 'node:path';
import { writeFileDurably } from '../../checkpoint/durable.ts';
import { readJsonFile } from '../../models/config-file.ts';
import type { ModelFolder } from '../../models/star/folder.ts';

/** What brings latents to mean 0 and deviation 1: `(latents − shift) · scale`. */
export interface LatentScale {
  readonly shift: number;
  readonly scale: number;
}

/** Writes the scale into the configuration of the model's own decoder, durably; all other keys stay. */
export async function saveLatentScale(
  { pixelDecoder }: Pick<ModelFolder, 'pixelDecoder'>,
  { shift, scale }: LatentScale,
): Promise<void> {
  const file = path.join(pixelDecoder!.folder, 'vae', 'config.json');
  const config = (await readJsonFile(file)) as Record<string, unknown>;
  const text = JSON.stringify({ ...config, scaling_factor: scale, shift_factor: shift }, null, 2);
  await writeFileDurably(file, [Buffer.from(`${text}\n`)]);
}
