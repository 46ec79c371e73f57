/** Starstack in a browser: the same API as in Node, on ONNX Runtime for the web in a web worker. */
import './browser/dispose-symbols.ts';

export { imageDataOf } from './browser/canvas-codec.ts';
export { cacheName, type LoadProgress } from './browser/download.ts';
export { BrowserError, type BrowserErrorCode } from './browser/error.ts';
export { type BrowserLoadOptions, Star } from './browser/star.ts';
export { StarError } from './errors.ts';
export type { RgbImage } from './image/rgb-image.ts';
export { AbortedError, TaskError } from './tasks/error.ts';
export type * from './tasks/events.ts';
export { GeneratedImage } from './tasks/generated-image.ts';
export type { EditOptions, GenerateOptions, UnderstandOptions } from './tasks/options.ts';
export { type ImageRecipe, readRecipe } from './tasks/recipe.ts';
export type { Message, MessagePart, PictureSource } from './tasks/star-tasks.ts';
export type { Task } from './tasks/task.ts';
