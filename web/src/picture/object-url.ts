/** Addresses of pictures in memory, one a picture, for as long as the page lives. */
const urls = new WeakMap<Blob, string>();

export function urlOf(blob: Blob): string {
  const known = urls.get(blob);
  if (known !== undefined) return known;
  const url = URL.createObjectURL(blob);
  urls.set(blob, url);
  return url;
}

/** For previews, which come by the dozen. */
export function releaseUrl(blob: Blob): void {
  const url = urls.get(blob);
  if (url === undefined) return;
  URL.revokeObjectURL(url);
  urls.delete(blob);
}
