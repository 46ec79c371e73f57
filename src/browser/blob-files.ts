/** A downloaded model folder as a place of files. */
import { type ByteSource, checkRange } from '../checkpoint/byte-source.ts';
import { CheckpointError } from '../checkpoint/error.ts';
import type { Files } from '../checkpoint/files.ts';
import type { DownloadedModel } from './download.ts';

/** Paths are URLs: the folder's own, then the path inside of it. */
export function blobFiles({ url, files }: DownloadedModel): Files {
  const inside = (path: string) => (path.startsWith(`${url}/`) ? path.slice(url.length + 1) : path === url ? '' : path);
  const get = (path: string): Blob => {
    const blob = files.get(inside(path));
    if (blob) return blob;
    throw Object.assign(new Error(`${path}: not in the model's manifest`), { code: 'ENOENT' });
  };
  const childrenOf = (path: string): string[] => {
    const prefix = inside(path) === '' ? '' : `${inside(path)}/`;
    const below = [...files.keys()].filter((name) => name.startsWith(prefix));
    return [...new Set(below.map((name) => name.slice(prefix.length).split('/')[0]!))];
  };
  return {
    join,
    relative: (folder, file) => (file.startsWith(`${folder}/`) ? file.slice(folder.length + 1) : file),
    kindOf: async (path) => (files.has(inside(path)) ? 'file' : childrenOf(path).length > 0 ? 'folder' : undefined),
    list: async (folder) => {
      const names = childrenOf(folder);
      if (names.length > 0) return names;
      throw Object.assign(new Error(`${folder}: not in the model's manifest`), { code: 'ENOENT' });
    },
    sizeOf: async (file) => get(file).size,
    read: async (file) => new Uint8Array(await get(file).arrayBuffer()),
    open: async (file) => {
      const blob = files.get(inside(file));
      if (!blob) throw new CheckpointError('is not in the manifest', { file, code: 'checkpoint_not_found' });
      return blobSource(file, blob);
    },
  };
}

/** `..` takes the part before it away; the scheme and host of a URL stay as they are. */
function join(...parts: string[]): string {
  const path: string[] = [];
  for (const part of parts.join('/').split('/')) {
    if (part === '..') path.pop();
    else path.push(part);
  }
  return path.join('/');
}

function blobSource(file: string, blob: Blob): ByteSource {
  return {
    file,
    size: blob.size,
    async readInto(target, position) {
      checkRange(this, position, target.byteLength);
      target.set(new Uint8Array(await blob.slice(position, position + target.byteLength).arrayBuffer()));
    },
    async [Symbol.asyncDispose]() {},
  };
}
