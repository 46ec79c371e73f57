/**
 * GenEval's prompts: `prompts/evaluation_metadata.jsonl` of djghosh13/geneval (MIT), one JSON object a line. The file is
 * read from a path given at run time; the package ships none of it.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { EvaluationError } from '../error.ts';

/** The six tags, in the file's order. */
export const tags = ['single_object', 'two_object', 'counting', 'colors', 'position', 'color_attr'] as const;
export type Tag = (typeof tags)[number];

const countedSchema = z.strictObject({ class: z.string().min(1), count: z.int().min(1) });

const clauseSchema = countedSchema.extend({
  color: z.string().min(1).optional(),
  /** This object stands in the relation to what was matched for the clause of that index. */
  position: z.tuple([z.enum(['left of', 'right of', 'above', 'below']), z.int().min(0)]).optional(),
});

/** A prompt and what its pictures must show. */
export const genevalPromptSchema = z
  .strictObject({
    tag: z.enum(tags),
    prompt: z.string().min(1),
    include: z.array(clauseSchema).min(1),
    /** Only for counting: so many or more of the class are wrong. */
    exclude: z.array(countedSchema).optional(),
  })
  .refine(
    ({ include }) => include.every(({ position }, index) => position === undefined || position[1] < index),
    'position must point to an earlier clause of include',
  );

export type GenevalPrompt = z.infer<typeof genevalPromptSchema>;
export type GenevalClause = z.infer<typeof clauseSchema>;

/**
 * Reads prompts; blank lines are passed over.
 * @param name of the file, for messages
 * @throws EvaluationError `evaluation_file_invalid` with the line
 */
export function parseGenevalPrompts(text: string, name: string): GenevalPrompt[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const result = genevalPromptSchema.safeParse(jsonOf(line));
    if (result.success) return [result.data];
    const [issue] = result.error.issues as [z.core.$ZodIssue];
    const place = `${name}, line ${index + 1}`;
    throw new EvaluationError(
      'evaluation_file_invalid',
      `${place}: not a GenEval prompt: ${[issue.path.join('.'), issue.message].filter(Boolean).join(': ')}`,
      { file: name, line: index + 1 },
    );
  });
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return line;
  }
}

/** @throws EvaluationError `evaluation_file_unreadable` or `evaluation_file_invalid` */
export async function readGenevalPrompts(path: string): Promise<GenevalPrompt[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new EvaluationError('evaluation_file_unreadable', `cannot read the prompts ${path}`, { path }, { cause });
  }
  return parseGenevalPrompts(text, path);
}
