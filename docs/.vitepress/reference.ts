/**
 * Writes `docs/reference/`: the pages that the code itself tells, so that they are never older than it. Options and recipes
 * come from the schemas that check them, commands from their help, the API from the types and comments of the exports.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application, Converter, type Reflection, ReflectionKind } from 'typedoc';
import type { PluginOptions } from 'typedoc-plugin-markdown';
import { z } from 'zod';
import { createProgram } from '../../src/cli/program.ts';
import { captionedSchema, conversationsSchema, editPairsSchema } from '../../src/data/sources/options.ts';
import { worldProfileSchema } from '../../src/data/world/profile.ts';
import { pictureOptionsSchema, understandOptionsSchema } from '../../src/tasks/options.ts';
import { decoderSettingsSchema } from '../../src/training/new-model/decoder-settings.ts';
import { derivedModelSchema } from '../../src/training/new-model/derive-model.ts';
import { modelSettingsSchema } from '../../src/training/new-model/settings.ts';
import { recipeFields } from '../../src/training/recipe.ts';
import { stageNamesInOrder, trainingRecipeSchema } from '../../src/training/stages/recipe.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const folder = path.join(repository, 'docs/reference');

type Schema = z.core.JSONSchema.JSONSchema;

/** As a user writes it: before defaults are filled in. */
function schemaOf(schema: z.ZodType): Schema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' });
}

/** What may stand there, in a few words. */
function formOf(schema: Schema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.const !== undefined) return `\`${schema.const}\``;
  const variants = schema.anyOf ?? schema.oneOf;
  if (variants) return [...new Set(variants.map((each) => formOf(each as Schema)))].join(', or ');
  if (schema.type === 'array') return schema.items ? `list, each ${formOf(schema.items as Schema)}` : 'list';
  if (schema.type === 'integer') return `whole number${rangeOf(schema)}`;
  if (schema.type === 'number') return `number${rangeOf(schema)}`;
  if (schema.type === 'boolean') return '`true`, `false`';
  return { string: 'text', object: 'keys' }[String(schema.type)] ?? '';
}

/** Limits that only keep files from asking for absurd sizes are left out. */
function rangeOf({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Schema): string {
  const is = (limit: unknown): limit is number => typeof limit === 'number' && Math.abs(limit) < 2 ** 20;
  const least = is(minimum) ? ` from ${minimum}` : is(exclusiveMinimum) ? ` above ${exclusiveMinimum}` : '';
  const most = is(maximum) ? ` to ${maximum}` : is(exclusiveMaximum) ? ` below ${exclusiveMaximum}` : '';
  return least + most;
}

/** Its sentence, and its default where the sentence does not say it. */
function proseOf({ description = '', default: value }: Schema): string {
  const told = value === undefined || typeof value === 'object' || /\bdefault\b/i.test(description);
  return told ? description : `${description} Default: \`${value}\`.`;
}

/** Data has a section of its own. */
const expanded = (name: string) => name !== 'data' && name !== 'editData';

/** A point for each field; fields of fields follow with their whole key. */
function pointsOf(schema: Schema, prefix: string, without: ReadonlySet<string>): string[] {
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    if (without.has(name)) return [];
    const field = value as Schema;
    const form = [formOf(field), required.has(name) ? '**required**' : ''].filter((text) => text !== '').join(', ');
    const prose = proseOf(field).trim().replaceAll('<', '&lt;').replaceAll('\n', ' ');
    const point = [`- **\`${prefix}${name}\`** ${form}`, ...(prose === '' ? [] : [`  ${prose}`])].join('<br>\n');
    return [point, ...(expanded(name) ? pointsOf(field, `${prefix}${name}.`, new Set()) : [])];
  });
}

/** A heading, what the schema says of the whole, and its fields. */
function section(title: string, schema: z.ZodType, without: ReadonlySet<string> = new Set()): string[] {
  const json = schemaOf(schema);
  return [`## ${title}`, json.description ?? '', listOf(json, without)];
}

function listOf(json: Schema, without: ReadonlySet<string> = new Set()): string {
  return pointsOf(json, '', without).join('\n');
}

/** What stages read from files, by its kind. */
function dataKinds(): Record<string, Schema> {
  const captioned = schemaOf(captionedSchema).oneOf as Schema[];
  const kindOf = (json: Schema) => (json.properties!.kind as Schema).const;
  return {
    ...Object.fromEntries(captioned.map((json) => [`kind: ${kindOf(json)}`, json])),
    'kind: jsonl, of edits': schemaOf(editPairsSchema),
    'kind: jsonl, of conversations': schemaOf(conversationsSchema),
  };
}

function optionsPage(): string[] {
  const program = new Set(['signal', 'onAbort']);
  return [
    '# Options of the tasks',
    'The library takes these names as they are, the command line as `--top-p`, the server as `top_p`. A value out of range ' +
      'is an error. Programs may add `signal`, an `AbortSignal`, and `onAbort`: `throw`, the default, or `keep` what is done.',
    ...section('generate and edit', pictureOptionsSchema, program),
    ...section('understand and chat', understandOptionsSchema, program),
  ];
}

function recipePage(): string[] {
  const { stages, model: _model, world: _world, decoder: _decoder, ...others } = trainingRecipeSchema.shape;
  const file = z.strictObject(others);
  const common = new Set(Object.keys(recipeFields));
  return [
    '# Keys of a recipe',
    'A recipe is one YAML file, checked as a whole before anything is done: a key that is not here is refused. At its top ' +
      'stand `model`, `world`, `decoder` and `stages`, whose keys follow, and',
    ...section('The file', file).slice(2),
    ...section('model: sizes of a new one', modelSettingsSchema),
    ...section('model: made from another', derivedModelSchema),
    ...section('decoder', decoderSettingsSchema),
    ...section('world', worldProfileSchema).toSpliced(
      1,
      1,
      '`base: nano` or `base: full` is the profile to start from; every other key replaces what it says.',
    ),
    '## Data of files',
    '`data` and `editData` are `{ train: …, heldOut: … }`, each of one of these kinds.',
    ...Object.entries(dataKinds()).flatMap(([title, json]) => [`### ${title}`, listOf(json)]),
    ...section('Every stage', z.strictObject(recipeFields)),
    ...stageNamesInOrder.flatMap((name) => section(`Stage ${name}`, stages.shape[name].unwrap(), common)),
  ];
}

async function commandsPage(): Promise<string[]> {
  return [
    '# Every command and option',
    'What `--help` says. [The command line](../cli.md) shows the commands at work.',
    ...(await createProgram()).commands.flatMap((command) => [
      `## ${command.name()}`,
      `\`\`\`text\n${command.configureHelp({ helpWidth: 70 }).helpInformation().trimEnd()}\n\`\`\``,
    ]),
  ];
}

/** Sources of the package's exports, by what they are imported as. */
const exported: Readonly<Record<string, string>> = { index: 'starstack', browser: 'starstack/browser' };

async function writeApi(): Promise<void> {
  const options: PluginOptions & Parameters<typeof Application.bootstrapWithPlugins>[0] = {
    plugin: ['typedoc-plugin-markdown'],
    entryPoints: Object.keys(exported).map((name) => path.join(repository, `src/${name}.ts`)),
    tsconfig: path.join(repository, 'tsconfig.build.json'),
    out: path.join(folder, 'api'),
    name: 'API',
    readme: 'none',
    entryFileName: 'index',
    outputFileStrategy: 'modules',
    hidePageHeader: true,
    hideGroupHeadings: true,
    parametersFormat: 'table',
    propertiesFormat: 'table',
    interfacePropertiesFormat: 'table',
    classPropertiesFormat: 'table',
    typeAliasPropertiesFormat: 'table',
    propertyMembersFormat: 'table',
    tableColumnSettings: { hideDefaults: true, hideInherited: true, hideOverrides: true },
    // What Error has, and Node adds to it.
    excludeExternals: true,
    hideBreadcrumbs: true,
    disableSources: true,
    excludePrivate: true,
    excludeProtected: true,
    // `npm run typecheck` has checked them.
    skipErrorChecking: true,
    // What exported types are made of inside has no page.
    validation: { notExported: false },
  };
  const app = await Application.bootstrapWithPlugins(options);
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const child of project.children ?? []) child.name = exported[child.name] ?? child.name;
    // Models are loaded and pictures drawn; users construct neither these nor errors. Marks by symbols are for the library.
    const inside = ({ kind, name }: Reflection) => kind === ReflectionKind.Constructor || name.startsWith('[');
    for (const each of Object.values(project.reflections).filter(inside)) project.removeReflection(each);
  });
  const project = await app.convert();
  if (project) await app.generateOutputs(project);
  if (!project || app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error('typedoc: see above');
}

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
for (const [name, parts] of Object.entries({
  options: optionsPage(),
  recipe: recipePage(),
  commands: await commandsPage(),
})) {
  await writeFile(path.join(folder, `${name}.md`), `${parts.filter((part) => part !== '').join('\n\n')}\n`);
}
await writeApi();
