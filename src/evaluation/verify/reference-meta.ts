/** `meta.json` of the expectations: prompts, strings and settings. A part that is malformed spoils only what needs it. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { companions, VerifyError } from './expected.ts';

const maximumBytes = 16 * 1024 * 1024;

const text = z.string().max(1 << 16);
const ids = z.array(z.int().min(0)).max(1 << 16);

const guidances = { guidance_scale: z.number(), img_guidance_scale: z.number() };

const parts = {
  tokenizer: z.array(z.object({ text, ids, decoded: text })),
  chat_prompt: text,
  understand: z.object({ question: text, rendered: text, answer: text }),
  reasoning: z.object({
    prompt: text,
    answer: text,
    answer_max_new_tokens: z.int().min(1),
    /** None when the answer was empty and the prompt stayed. */
    answer_prompt: text.nullable(),
    template_prefix_ids: ids,
  }),
  edit: z.object({ instruction: text }),
  diffusion: z.object({
    prompt: text,
    system_prompt: text,
    max_sequence_length: z.int().min(1).max(4096),
    steps: z.int().min(1).max(1000),
    resolution: z.int().min(1),
    generate: z.object(guidances),
    edit: z.object({ ...guidances, vq_guidance_scale: z.number() }),
  }),
  train_generation: z.object({ prompts: z.array(text).min(1), unused: z.array(text).default([]) }),
};

type Parts = { readonly [Name in keyof typeof parts]: z.output<(typeof parts)[Name]> };

export class ReferenceMeta {
  readonly #file: string;
  readonly #content: unknown;
  readonly #problem: string | undefined;

  private constructor(file: string, content: unknown, problem?: string) {
    this.#file = file;
    this.#content = content;
    this.#problem = problem;
  }

  /** Throws nothing: a file that cannot be read is told to whoever asks for a part of it. */
  static async read(folder: string): Promise<ReferenceMeta> {
    const file = path.join(folder, companions.meta);
    try {
      const { size } = await stat(file);
      if (size > maximumBytes) return new ReferenceMeta(file, undefined, `${size} bytes, at most ${maximumBytes} fit`);
      return new ReferenceMeta(file, JSON.parse(await readFile(file, 'utf8')));
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      return new ReferenceMeta(file, undefined, missing ? 'there is no such file' : (error as Error).message);
    }
  }

  /** @throws VerifyError (`expected_invalid`) when the part is missing or malformed. */
  part<Name extends keyof Parts>(name: Name): Parts[Name] {
    const fail = (reason: string): never => {
      throw new VerifyError('expected_invalid', `${this.#file}: ${reason}`, { file: this.#file, part: name });
    };
    if (this.#problem !== undefined) fail(this.#problem);
    const content = this.#content;
    if (typeof content !== 'object' || content === null || !Object.hasOwn(content, name)) fail(`there is no "${name}"`);
    const result = parts[name].safeParse((content as Record<string, unknown>)[name]);
    if (!result.success) {
      const [issue] = result.error.issues;
      return fail(`${[name, ...issue!.path].join('.')}: ${issue!.message}`);
    }
    return result.data as Parts[Name];
  }
}
