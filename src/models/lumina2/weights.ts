/**
 * The weights of a part of the diffusion decoder. A STAR checkpoint carries its own transformer and autoencoder, which
 * lie over those of the diffusers folder: the published code first loads the folder, widens it, then loads the
 * checkpoint.
 */
import type { TensorEntry } from '../../checkpoint/entry.ts';
import type { Files } from '../../checkpoint/files.ts';
import { matchEntries } from '../../checkpoint/match.ts';
import { openCheckpointIn } from '../../checkpoint/open-in.ts';
import { type Declare, parameterShapes } from '../../nn/parameters.ts';
import { type FileWeights, fileWeights } from '../file-weights.ts';
import type { ConfiguredPart } from './folder.ts';

/** What a STAR checkpoint calls the parts that it carries. */
export const overlayPrefixes = { transformer: 'diffusion_decoder.transformer', vae: 'diffusion_decoder.vae' } as const;

export interface PartWeightsOptions {
  /** Where the part and the overlay lie. */
  readonly files: Files;
  /** Holds all files that are opened, the overlay's too: the STAR model folder, or the diffusers folder alone. */
  readonly folder: string;
  /**
   * A STAR checkpoint. Its tensors `<prefix>.<name>` take the place of the folder's of that name, whatever their shape,
   * and may add names. Default: none.
   */
  readonly overlay?: { readonly file: string; readonly prefix: string } | undefined;
  /** The part's name for a tensor of the folder; undefined if it has no place for it. Default: the same name. */
  readonly rename?: (name: string) => string | undefined;
  /** True for tensors of the folder that the part knowingly does without. Default: none. */
  readonly ignore?: (name: string) => boolean;
}

export interface PartWeights extends FileWeights {
  /** What was found in the files and left unread, for people. */
  readonly warnings: readonly string[];
}

/**
 * Opens the weights of a part, all checked against what `declarePart` declares, under the part's own names
 * (`encoder.conv_in.weight`).
 * @throws CheckpointError for unreadable files and for missing, unexpected and wrongly shaped tensors, all listed.
 */
export async function openPartWeights(
  part: ConfiguredPart,
  declarePart: (declare: Declare) => unknown,
  { files, folder, overlay, rename = (name) => name, ignore = () => false }: PartWeightsOptions,
): Promise<PartWeights> {
  const expected = parameterShapes(declarePart);
  await using own = part.weightsFile === undefined ? undefined : await openCheckpointIn(files, part.weightsFile);
  await using over = overlay && (await openCheckpointIn(files, overlay.file));
  const prefix = `${overlay?.prefix}.`;
  const overriding = [...(over?.entries ?? [])].filter(([name]) => name.startsWith(prefix));
  const overridden = new Set(overriding.map(([name]) => name.slice(prefix.length)));
  // Names as they stand in the files, so that a fault names a tensor that can be found.
  const sources = new Map<string, { readonly entry: TensorEntry; readonly target: string | undefined }>();
  for (const [name, entry] of own?.entries ?? []) {
    const target = rename(name);
    if (!ignore(name) && !(target !== undefined && overridden.has(target))) sources.set(name, { entry, target });
  }
  for (const [name, entry] of overriding) sources.set(name, { entry, target: name.slice(prefix.length) });
  const entries = matchEntries(
    Object.fromEntries([...expected].map(([name, shape]) => [name, { shape }])),
    new Map([...sources].map(([name, { entry }]) => [name, entry])),
    { file: part.weightsFile ?? overlay?.file ?? part.folder, rename: (name) => sources.get(name)!.target },
  );
  const checkpoints = [own, over].filter((each) => each !== undefined);
  const warnings = checkpoints.flatMap((checkpoint) => checkpoint.warnings);
  return { ...(await fileWeights(entries, checkpoints, { files, folder })), warnings };
}
