/** Starstack: STAR in TypeScript. */
export { StarError } from './errors.ts';
export { decodeImage, readImage } from './image/decode.ts';
export type { RgbImage } from './image/rgb-image.ts';
export { saveImage } from './image/save.ts';
export { AbortedError, TaskError } from './tasks/error.ts';
export type * from './tasks/events.ts';
export { GeneratedImage } from './tasks/generated-image.ts';
export type { EditOptions, GenerateOptions, UnderstandOptions } from './tasks/options.ts';
export { type ImageRecipe, readRecipe } from './tasks/recipe.ts';
export { type Message, type MessagePart, type PictureSource, Star } from './tasks/star.ts';
export type { LoadOptions } from './tasks/star-model.ts';
export type { Task } from './tasks/task.ts';
