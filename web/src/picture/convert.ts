/** Pictures in other formats than PNG, which alone carries the recipe. */

export const lossyFormats = { JPEG: 'image/jpeg', WebP: 'image/webp' } as const;
export type LossyFormat = keyof typeof lossyFormats;

/** Undefined where this browser writes no such files. */
export async function converted(picture: Blob, format: LossyFormat): Promise<Blob | undefined> {
  const type = lossyFormats[format];
  const bitmap = await createImageBitmap(picture);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d')!.drawImage(bitmap, 0, 0);
  bitmap.close();
  const blob = await canvas.convertToBlob({ type, quality: 0.95 });
  // What a browser cannot write becomes a PNG.
  return blob.type === type ? blob : undefined;
}
