/** `starstack inspect DIR` */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { StarError } from '../errors.ts';
import { alignColumns } from '../evaluation/report.ts';
import { openDiffusionDecoder } from '../tasks/diffusion-decoder.ts';
import { fingerprintOf } from '../tasks/fingerprint.ts';
import { StarModel } from '../tasks/star-model.ts';
import { type DecoderMemory, estimateDecoderMemory, estimateMemory } from './memory.ts';
import { addRuntimeOptions, type CommonValues } from './options.ts';
import { formatBytes, formatCount, printJson } from './output.ts';
import { printable } from './printable.ts';

export function inspectCommand(): Command {
  const command = new Command('inspect')
    .summary('describe a model folder: parts, configuration, memory, device')
    .description(
      'Describes a model folder without loading its weights: parts, configuration, memory of each task, device.',
    )
    .argument('<dir>', 'a model folder');
  return addRuntimeOptions(command).action(inspect);
}

async function inspect(dir: string, values: CommonValues): Promise<void> {
  await using model = await StarModel.open(dir, { device: values.device, threads: values.threads });
  const report = await describeModel(model);
  if (values.json) printJson(report);
  else process.stdout.write(printable(formatReport(report), process.stdout));
}

type Report = Awaited<ReturnType<typeof describeModel>>;

async function describeModel(model: StarModel) {
  const { folder, weights, runtime } = model;
  const { star, qwen } = folder;
  const relative = (file: string) => path.relative(folder.folder, file);
  const unused = await unusedFiles(model);
  return {
    model: star.modelName,
    folder: folder.folder,
    fingerprint: await fingerprintOf(folder),
    parts: weights.parts,
    configuration: {
      base: qwen.text,
      semanticEncoder: qwen.vision,
      stackedAr: star.stackedAr,
      pixelAdapter: star.pixelAdapter,
      pixelEncoder: star.pixelEncoder,
    },
    files: {
      configuration: relative(folder.configFile),
      checkpoint: relative(folder.checkpointFile),
      languageModel: relative(folder.languageModelFolder),
      ...(folder.pixelEncoderFile ? { pixelEncoder: relative(folder.pixelEncoderFile) } : {}),
      unused,
    },
    diffusionDecoder: await describeDecoder(model),
    memory: estimateMemory(model),
    device: runtime.device,
    threads: runtime.threads,
    warnings: weights.warnings,
  };
}

interface DecoderReport {
  readonly named: boolean;
  readonly present: boolean;
  readonly supported: boolean;
  readonly folder?: string;
  readonly memory?: DecoderMemory;
  /** Why it is not supported though it is there. */
  readonly problem?: string;
}

/** Opens the diffusion decoder: configurations, tokenizer and headers, no weights. */
async function describeDecoder(model: StarModel): Promise<DecoderReport> {
  const { folder, pixelDecoder } = model.folder;
  if (!pixelDecoder) return { named: false, present: false, supported: false };
  const found = { named: true, present: pixelDecoder.present, folder: path.relative(folder, pixelDecoder.folder) };
  if (!pixelDecoder.present) return { ...found, supported: false };
  try {
    const decoder = await openDiffusionDecoder(model);
    return { ...found, supported: true, memory: estimateDecoderMemory(model, decoder) };
  } catch (error) {
    if (!StarError.isInstance(error)) throw error;
    return { ...found, supported: false, problem: error.message };
  }
}

/** Weight files beside the ones that are read, because another file carries their part already. */
async function unusedFiles({ folder, weights }: StarModel): Promise<string[]> {
  const used = new Set([...weights.entries.values()].map((entry) => path.resolve(entry.file)));
  const folders = [path.dirname(folder.checkpointFile), folder.languageModelFolder];
  const files: string[] = [];
  for (const place of folders) {
    const names = (await readdir(place)).filter((name) => /\.(pt|safetensors)$/.test(name)).sort();
    files.push(...names.map((name) => path.join(place, name)).filter((file) => !used.has(path.resolve(file))));
  }
  return files.map((file) => path.relative(folder.folder, file));
}

function formatReport(report: Report): string {
  const sections: [string, string][] = [
    ['Parts', formatParts(report)],
    ['Configuration', alignColumns(configurationRows(report))],
    ['Files', alignColumns(fileRows(report))],
    ['Memory, at least', formatMemory(report)],
    [
      'Device',
      `  ${report.device.chosen}, ${report.threads} ${report.threads === 1 ? 'thread' : 'threads'}. ${report.device.reason}\n`,
    ],
  ];
  if (report.warnings.length > 0)
    sections.push(['Warnings', report.warnings.map((warning) => `  ${warning}\n`).join('')]);
  const title = `${report.model}, fingerprint ${report.fingerprint}\n`;
  return title + sections.map(([name, text]) => `\n${name}\n${text}`).join('');
}

function formatParts({ parts }: Report): string {
  const rows = parts.map((part) => [
    part.name,
    formatCount(part.parameters),
    part.dtypes.join(', '),
    formatBytes(part.bytes),
    part.file,
  ]);
  const sum = (pick: (part: Report['parts'][number]) => number) => parts.reduce((total, part) => total + pick(part), 0);
  const total = [
    'together',
    formatCount(sum((part) => part.parameters)),
    '',
    formatBytes(sum((part) => part.bytes)),
    '',
  ];
  return alignColumns([['part', 'parameters', 'type', 'in the file', 'file'], ...rows, total], [1, 3]);
}

function configurationRows({ configuration }: Report): string[][] {
  const { base, semanticEncoder: vision, stackedAr, pixelAdapter, pixelEncoder: pixels } = configuration;
  const count = formatCount;
  const heads = `${base.heads} heads of ${base.headDim}, ${base.keyValueHeads} for keys and values`;
  const tied = base.tieWordEmbeddings ? ', tied to the output head' : '';
  const { gridSize, imageSize } = pixels;
  return [
    [
      'base AR',
      `${base.layers} layers, hidden ${count(base.hiddenSize)}, MLP ${count(base.intermediateSize)}, ${heads}`,
    ],
    ['vocabulary', `${count(base.vocabSize)} tokens${tied}`],
    ['context', `${count(base.maxPositionEmbeddings)} tokens, prompt and drawn ones together`],
    ['stacked AR', `${stackedAr.map((stack) => stack.numLayers).join(' + ')} layers like the base's`],
    [
      'semantic encoder',
      `${vision.depth} layers, hidden ${count(vision.hiddenSize)}, patches of ${vision.patchSize} pixels, merged ${vision.spatialMergeSize} x ${vision.spatialMergeSize}`,
    ],
    [
      'pixel encoder',
      `${count(pixels.codebookSize)} codes of ${pixels.codebookDim} dimensions, adapter of ${pixelAdapter.depth} layers`,
    ],
    ['picture', `${count(pixels.numTokens)} tokens (${gridSize} x ${gridSize}), ${imageSize} x ${imageSize} pixels`],
  ];
}

function fileRows({ files, diffusionDecoder: decoder }: Report): string[][] {
  return [
    ['configuration', files.configuration],
    ['checkpoint', files.checkpoint],
    ['language model', files.languageModel],
    ['diffusion decoder', decoderCell(decoder)],
    ...(files.unused.length > 0 ? [['not needed', files.unused.join(', ')]] : []),
  ];
}

function decoderCell({ named, present, supported, folder, problem }: DecoderReport): string {
  if (!named) return 'none named; pictures come from the VQ decoder';
  if (!present) return `${folder}: not in the folder; optional`;
  return `${folder}: ${supported ? 'for --decoder diffusion' : `cannot be used: ${problem}`}`;
}

function formatMemory({ memory, configuration, diffusionDecoder }: Report): string {
  const context = formatCount(configuration.base.maxPositionEmbeddings);
  const head = ['task', 'weights as float32', 'caches a token', `caches of ${context} tokens`, 'together'];
  const rows = memory.map((each) => [
    each.task,
    ...[each.weights, each.cachePerToken, each.cacheLongest, each.total].map(formatBytes),
  ]);
  return alignColumns([head, ...rows], [1, 2, 3, 4]) + formatDecoderMemory(diffusionDecoder);
}

function formatDecoderMemory({ memory }: DecoderReport): string {
  if (!memory) return '';
  const { textEncoder, transformer, autoencoder, atOnce } = memory;
  const parts = [
    `text encoder ${formatBytes(textEncoder)}`,
    `transformer ${formatBytes(transformer)}`,
    `autoencoder ${formatBytes(autoencoder)}`,
  ];
  return `  with --decoder diffusion ${formatBytes(atOnce)} more: one part at a time of ${parts.join(', ')}\n`;
}
