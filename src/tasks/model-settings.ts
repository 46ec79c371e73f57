/** What of a model can be set, by the fields of requests: their ranges and the model's defaults. */
import { z } from 'zod';
import type { ModelFolder } from '../models/star/model-folder.ts';
import { fieldNameOf } from './field-names.ts';
import { diffusionOptionNames, pictureOptionsSchema, samplingDefaults, understandOptionsSchema } from './options.ts';

/**
 * A setting: the JSON schema of its field, with the default that holds for this model; `decoder` where one decoder alone
 * takes it.
 */
export type Setting = Readonly<Record<string, unknown>>;
export type Settings = Readonly<Record<string, Setting>>;

/** Options that are no fields of a request, or that a description says nothing of. */
const left: ReadonlySet<string> = new Set(['signal', 'onAbort', 'count', 'preview']);
const ofDiffusion: ReadonlySet<string> = new Set(diffusionOptionNames);

/** By task; those of `understand` are fields of `/v1/chat/completions`. */
export function settingsOf(folder: ModelFolder): Readonly<Record<'generate' | 'edit' | 'understand', Settings>> {
  const { sampling } = folder.star;
  const { doSample, temperature, topK, topP, repetitionPenalty } = folder.generation;
  const answering = { temperature: doSample ? temperature : 0, topK, topP, repetitionPenalty };
  const thinking = { repetitionPenalty };
  return {
    generate: described(pictureOptionsSchema.omit({ vqGuidance: true }), {
      ...thinking,
      ...samplingDefaults(sampling, 'generate'),
    }),
    edit: described(pictureOptionsSchema, { ...thinking, ...samplingDefaults(sampling, 'edit') }),
    understand: described(understandOptionsSchema, answering),
  };
}

function described(schema: z.ZodObject, defaults: Readonly<Record<string, unknown>>): Settings {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  const entries = Object.entries(properties).filter(([name]) => !left.has(name));
  return Object.fromEntries(
    entries.map(([name, field]) => {
      const own = defaults[name];
      const setting: Setting = {
        ...(field as object),
        ...(own === undefined ? {} : { default: own }),
        ...(ofDiffusion.has(name) ? { decoder: 'diffusion' } : {}),
      };
      return [fieldNameOf(name), setting];
    }),
  );
}
