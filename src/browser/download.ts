/** A model folder from a web server: its files by the manifest, checked, and kept in the browser's cache. */
import { parseConfig } from '../models/config-error.ts';
import { type ManifestFile, manifestName, manifestSchema } from '../models/model-manifest.ts';
import { BrowserError } from './error.ts';

/** Name of the Cache API's store. */
export const cacheName = 'starstack-models';

/** How far the loading of a model has come. */
export interface LoadProgress {
  /** `download` while files come in, `start` once they are there. */
  readonly stage: 'download' | 'start';
  /** Bytes that are there, those from the cache among them. */
  readonly loadedBytes: number;
  readonly totalBytes: number;
  /** Whether every file so far came from the cache. */
  readonly fromCache: boolean;
}

export interface DownloadOptions {
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface DownloadedModel {
  /** Of the folder, without a slash at its end. */
  readonly url: string;
  /** By path inside of the folder. */
  readonly files: ReadonlyMap<string, Blob>;
  /** Why nothing was cached, where that is so. */
  readonly cacheProblem: string | undefined;
}

/**
 * Fetches all files of a model folder that are not in the cache. Each is checked by size and SHA-256 before it is used or
 * cached.
 * @throws BrowserError for a page without secure context, a folder without manifest, and missing or damaged files;
 *   ConfigError for a manifest that is none; the signal's reason.
 */
export async function downloadModel(folder: string, options: DownloadOptions): Promise<DownloadedModel> {
  if (!globalThis.isSecureContext) {
    throw new BrowserError(
      'browser_insecure_context',
      `${location.origin}: expected a page over https or from localhost, got one that the browser does not trust; ` +
        'files cannot be checked here',
    );
  }
  const url = new URL(folder, document.baseURI).href.replace(/\/+$/, '');
  const manifest = await readManifest(`${url}/${manifestName}`, options.signal);
  const { cache, problem } = await openCache();
  const totalBytes = manifest.files.reduce((sum, { size }) => sum + size, 0);
  let loadedBytes = 0;
  let fromCache = true;
  const tell = (bytes: number) => {
    loadedBytes += bytes;
    options.onProgress?.({ stage: 'download', loadedBytes, totalBytes, fromCache });
  };
  const files = new Map<string, Blob>();
  let cacheProblem = problem;
  for (const file of manifest.files) {
    options.signal?.throwIfAborted();
    const key = `${url}/${file.path}?sha256=${file.sha256}`;
    const known = await cache?.match(key);
    if (known) {
      const blob = await known.blob();
      if (blob.size === file.size) {
        files.set(file.path, blob);
        tell(file.size);
        continue;
      }
    }
    fromCache = false;
    const blob = await fetchFile(`${url}/${file.path}`, file, tell, options.signal);
    files.set(file.path, blob);
    try {
      await cache?.delete(`${url}/${file.path}`, { ignoreSearch: true });
      await cache?.put(key, new Response(blob));
    } catch (error) {
      // A full disk is no reason not to run.
      cacheProblem = String(error);
    }
  }
  options.onProgress?.({ stage: 'start', loadedBytes, totalBytes, fromCache });
  return { url, files, cacheProblem };
}

async function readManifest(url: string, signal: AbortSignal | undefined) {
  // The manifest decides whether the cache is still right: it must not be an old copy itself.
  const response = await reach(url, { signal: signal ?? null, cache: 'no-cache' });
  if (!response.ok) {
    throw new BrowserError(
      'model_manifest_missing',
      `${url}: expected the list of the model's files, got HTTP ${response.status}; ` +
        'make it with "starstack manifest <model-folder>"',
      { url, status: response.status },
    );
  }
  const text = await response.text();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Servers of single-page sites answer every path with their page.
    value = text;
  }
  return parseConfig(manifestSchema, value, url);
}

async function openCache(): Promise<{ readonly cache?: Cache; readonly problem: string | undefined }> {
  try {
    return { cache: await caches.open(cacheName), problem: undefined };
  } catch (error) {
    return { problem: String(error) };
  }
}

async function fetchFile(
  url: string,
  { size, sha256 }: ManifestFile,
  tell: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<Blob> {
  const response = await reach(url, { signal: signal ?? null });
  if (!response.ok || !response.body) {
    throw new BrowserError(
      'model_file_missing',
      `${url}: expected a file of ${size} bytes that the manifest lists, got HTTP ${response.status}`,
      { url, status: response.status },
    );
  }
  const damaged = (expected: string, got: string) =>
    new BrowserError(
      'model_file_damaged',
      `${url}: expected ${expected}, got ${got}; copy the file anew, or make the manifest again`,
      { url, expected, got },
    );
  const bytes = new Uint8Array(size);
  let done = 0;
  const reader = response.body.getReader();
  const read = () => reachable(url, signal ?? undefined, () => reader.read());
  for (let step = await read(); !step.done; step = await read()) {
    const { value } = step;
    if (done + value.length > size) {
      await reader.cancel();
      throw damaged(`${size} bytes`, 'more');
    }
    bytes.set(value, done);
    done += value.length;
    tell(value.length);
  }
  if (done !== size) throw damaged(`${size} bytes`, `${done}`);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const got = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (got !== sha256) throw damaged(`SHA-256 ${sha256}`, got);
  return new Blob([bytes]);
}

function reach(url: string, init: RequestInit): Promise<Response> {
  return reachable(url, init.signal ?? undefined, () => fetch(url, init));
}

/** What the network gives; where it gives nothing, or breaks off, an error of ours. */
async function reachable<Value>(
  url: string,
  signal: AbortSignal | undefined,
  ask: () => Promise<Value>,
): Promise<Value> {
  try {
    return await ask();
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    const message = `${url}: expected an answer of its server, got none (${String(cause)})`;
    throw new BrowserError('model_unreachable', message, { url });
  }
}
