/** The entry of the worker thread in Node. */
import { statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';
import { Engine, type EnginePlatform, serve } from './engine.ts';
import type { WorkerStart } from './node-host.ts';
import type { Request } from './protocol.ts';

/** Without a folder ONNX Runtime would read weights from wherever the process was started; this folder does not exist. */
const noFolder = join(dirname(fileURLToPath(import.meta.url)), 'no-weights-folder-was-given');

const platform: EnginePlatform = {
  ort,
  weightsOptions(folder) {
    const path = folder === undefined ? noFolder : resolve(folder);
    if (folder !== undefined && !statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      throw new Error(`the weights folder ${path} is not a folder`);
    }
    return { extra: { 'session.model_external_initializers_file_folder_path': path } };
  },
  hint(message) {
    if (message.includes('escapes model directory')) {
      return 'the weights are reached through a symbolic link that leaves the weights folder: name a folder that holds the files themselves';
    }
    return message.includes(noFolder)
      ? 'the program has weights outside of its model: give their weightsFolder'
      : undefined;
  },
};

const port = parentPort;
if (!port) throw new Error('worker.ts is started by a runtime, not by hand');
const { settings, busy } = workerData as WorkerStart;
const idle = () => {
  Atomics.store(busy, 0, 0);
  Atomics.notify(busy, 0);
};
process.on('exit', idle);
const engine = new Engine(platform, settings);
const answer = serve(engine, (reply, transfer) => {
  // Before the reply, which may be followed by the next request at once.
  idle();
  port.postMessage(reply, [...transfer]);
});
port.on('message', (request: Request) => {
  const answered = answer(request);
  // Nothing may come after `stop`: with its port closed the thread ends by itself.
  if (request.kind === 'stop') void answered.then(() => port.close());
});
