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
import { widenWeights } from './widen.ts';

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
    const runtimeFiles = new URL(options.runtimeFiles ?? 'ort/', document.baseURI).href.replace(/\/*$/, '/');
    // Beside the download: a runtime needs seconds to start, and what cannot start needs no model.
    const unstarted = new AbortController();
    const begin = (device: BrowserRuntimeOptions['device']) => {
      const runtime = startBrowserRuntime({ ...options, device }, runtimeFiles);
      runtime.catch((error: unknown) => unstarted.abort(error));
      return runtime;
    };
    let starting = begin(options.device);
    try {
      const stops = [unstarted.signal, ...(signal ? [signal] : [])];
      const downloaded = await downloadModel(model, { ...options, signal: AbortSignal.any(stops) });
      const folder = await openModelFolderIn(blobFiles(downloaded), downloaded.url);
      const original = new Map([...downloaded.files].filter(([path]) => weightsPattern.test(path)));
      const warnings: TaskWarning[] = [];
      if (downloaded.cacheProblem !== undefined) {
        const message = `the model is not cached and will be downloaded again: ${downloaded.cacheProblem}`;
        warnings.push({ code: 'model_not_cached', message });
      }
      const start = async (weights: StarWeights) => {
        const { runtime, giveWeights } = await starting;
        const widened = runtime.device.chosen === 'webgpu' ? await widenWeights(weights) : undefined;
        giveWeights(widened?.files ?? original);
        return { runtime, weights: widened?.weights ?? weights };
      };
      const assemble = () => LoadedModel.assemble({ ...options, folder, codec: canvasCodec, start });
      let loaded = await assemble();
      try {
        await loaded.session('engine');
      } catch (error) {
        const { requested, chosen } = loaded.runtime.device;
        if (chosen !== 'webgpu') throw error;
        const problem = messageOf(error);
        if (requested === 'webgpu') throw webGpuUnavailable(problem);
        const message = `wasm instead of WebGPU, which cannot run this model: ${problem}`;
        warnings.push({ code: 'runtime_webgpu_unavailable', message });
        await loaded.dispose();
        starting = begin('cpu');
        loaded = await assemble();
        await loaded.session('engine');
      }
      signal?.throwIfAborted();
      return new Star(loaded, [...warnings, ...(await starting).warnings]);
    } catch (error) {
      // Nobody waits for what is not needed any more.
      void starting.then(
        ({ runtime }) => runtime.dispose(),
        () => {},
      );
      throw error;
    }
  }
}
