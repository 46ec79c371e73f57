/** The public face in a browser: the same model, from a web server, in a web worker. */
import { openModelFolderIn } from '../models/star/model-folder.ts';
import type { StarWeights } from '../models/star/weights.ts';
import {
  type BrowserRuntimeOptions,
  checkBrowserRuntime,
  startBrowserRuntime,
  webGpuUnavailable,
} from '../runtime/browser-runtime.ts';
import { messageOf } from '../runtime/error.ts';
import type { TaskWarning } from '../tasks/events.ts';
import { LoadedModel, type ModelOptions } from '../tasks/loaded-model.ts';
import { StarTasks } from '../tasks/star-tasks.ts';
import { blobFiles } from './blob-files.ts';
import { canvasCodec } from './canvas-codec.ts';
import { type DownloadOptions, downloadModel } from './download.ts';
import { type WidenedWeights, widenWeights } from './widen.ts';

export interface BrowserLoadOptions extends BrowserRuntimeOptions, ModelOptions, DownloadOptions {
  /** URL of the folder with ONNX Runtime's `ort-wasm-*` files. Default: `ort/` beside the page. */
  readonly runtimeFiles?: string | undefined;
}

const weightsPattern = /\.(?:safetensors|pt|bin)$/;

/**
 * A loaded model.
 *
 * ```ts
 * const star = await Star.load('models/nano/', { onProgress: ({ loadedBytes, totalBytes }) => … });
 * const { images } = await star.generate('two red apples', { seed: 7 });
 * ```
 */
export class Star extends StarTasks {
  /**
   * Downloads a model folder (or takes it from the browser's cache) and starts a runtime in a web worker. The
   * model's largest program is loaded too: if that fails on WebGPU, `auto` goes on with wasm and says so in `warnings`.
   * @param model URL of a model folder with a manifest, against the page's own
   * @throws BrowserError, ConfigError and CheckpointError for what is wrong with the folder, RuntimeError for the device,
   *   the signal's reason
   */
  static async load(model: string, options: BrowserLoadOptions = {}): Promise<Star> {
    const { signal } = options;
    checkBrowserRuntime(options);
    const downloaded = await downloadModel(model, options);
    signal?.throwIfAborted();
    const folder = await openModelFolderIn(blobFiles(downloaded), downloaded.url);
    const original = new Map([...downloaded.files].filter(([path]) => weightsPattern.test(path)));
    const runtimeFiles = new URL(options.runtimeFiles ?? 'ort/', document.baseURI).href.replace(/\/*$/, '/');
    const warnings: TaskWarning[] = [];
    if (downloaded.cacheProblem !== undefined) {
      const message = `the model is not cached and will be downloaded again: ${downloaded.cacheProblem}`;
      warnings.push({ code: 'model_not_cached', message });
    }
    const open = async (device: BrowserRuntimeOptions['device']) => {
      let told: readonly TaskWarning[] = [];
      const start = async (weights: StarWeights) => {
        let widened: Promise<WidenedWeights> | undefined;
        const widen = () => {
          widened ??= widenWeights(weights);
          return widened;
        };
        const { runtime, warnings } = await startBrowserRuntime(
          { ...options, device },
          { runtimeFiles, weights: async (chosen) => (chosen === 'webgpu' ? (await widen()).files : original) },
        );
        told = warnings;
        return { runtime, weights: runtime.device.chosen === 'webgpu' ? (await widen()).weights : weights };
      };
      const loaded = await LoadedModel.assemble({ ...options, folder, codec: canvasCodec, start });
      return { loaded, told };
    };
    let { loaded, told } = await open(options.device);
    try {
      await loaded.session('engine');
    } catch (error) {
      const { device } = loaded.runtime;
      await loaded.dispose();
      if (device.chosen !== 'webgpu') throw error;
      const problem = messageOf(error);
      if (device.requested === 'webgpu') throw webGpuUnavailable(problem);
      ({ loaded, told } = await open('cpu'));
      const message = `wasm instead of WebGPU, which cannot run this model: ${problem}`;
      warnings.push({ code: 'runtime_webgpu_unavailable', message });
    }
    if (signal?.aborted) {
      await loaded.dispose();
      throw signal.reason;
    }
    return new Star(loaded, [...warnings, ...told]);
  }
}
