/** The expectations of a folder: tensors by file, and the strings and settings of `meta.json`. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { openCheckpoint } from '../../checkpoint/open.ts';
import { StarError } from '../../errors.ts';
import type { TensorValue } from '../../tensor/index.ts';

const text = z.string().max(1 << 16);
const ids = z.array(z.int().min(0)).max(1 << 16);

const metaSchema = z.object({
  tokenizer: z.array(z.object({ text, ids, decoded: text })),
  chat_prompt: text,
  understand: z.object({ question: text, rendered: text, answer: text }),
  reasoning: z.object({
    prompt: text,
    answer: text,
    answer_max_new_tokens: z.int().min(1),
    answer_prompt: text,
    template_prefix_ids: ids,
  }),
  edit: z.object({ instruction: text }),
  train_generation: z.object({ prompts: z.array(text).min(1) }),
});

export type ReferenceMeta = z.output<typeof metaSchema>;

/** A folder that cannot be verified at all. */
export class VerifyError extends StarError {}

export interface Expectations {
  readonly folder: string;
  /** Names of the safetensors files, without the ending. */
  readonly files: readonly string[];
  readonly meta: ReferenceMeta;
}

export async function openExpectations(model: string): Promise<Expectations> {
  const folder = path.join(model, 'expected');
  const names = await readdir(folder).catch((cause) => {
    throw new VerifyError(
      'expected_missing',
      `${folder}: there is nothing to verify against; expected a folder of reference vectors`,
      { folder },
      { cause },
    );
  });
  const file = path.join(folder, 'meta.json');
  try {
    const meta = metaSchema.parse(JSON.parse(await readFile(file, 'utf8')));
    const files = names
      .filter((name) => name.endsWith('.safetensors'))
      .map((name) => name.slice(0, -'.safetensors'.length));
    return { folder, files: files.sort(), meta };
  } catch (cause) {
    const reason =
      cause instanceof z.ZodError
        ? `${cause.issues[0]!.path.join('.')}: ${cause.issues[0]!.message}`
        : 'cannot be read as JSON';
    throw new VerifyError('expected_invalid', `${file}: ${reason}`, { file }, { cause });
  }
}

/** Reads the tensors of one file; asking for one that is not there is an error that names it. */
export async function readExpected(folder: string, name: string): Promise<(tensor: string) => TensorValue> {
  const file = path.join(folder, `${name}.safetensors`);
  await using checkpoint = await openCheckpoint(file);
  const values = new Map<string, TensorValue>();
  for (const tensor of checkpoint.entries.keys()) values.set(tensor, await checkpoint.read(tensor));
  return (tensor) => {
    const value = values.get(tensor);
    if (!value) throw new VerifyError('expected_invalid', `${file}: no tensor ${tensor}`, { file, tensor });
    return value;
  };
}

/** Names of the tensors of one file. */
export async function expectedNames(folder: string, name: string): Promise<string[]> {
  await using checkpoint = await openCheckpoint(path.join(folder, `${name}.safetensors`));
  return [...checkpoint.entries.keys()];
}
