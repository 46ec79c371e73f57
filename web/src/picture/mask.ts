/** The part of a picture that may change: painted on a canvas of its size, sent as a mask. */

const paint = '#b83f27';

/** A canvas of a picture's size, in whose painted part the picture may change. */
export class RegionCanvas {
  readonly #context: CanvasRenderingContext2D;

  constructor(canvas: HTMLCanvasElement) {
    const context = canvas.getContext('2d');
    if (!context) throw new Error('expected a canvas to draw on');
    this.#context = context;
  }

  /** Takes the size of a picture, and what its mask leaves open; nothing without one. */
  async open(source: Blob, mask: Blob | undefined): Promise<void> {
    const { canvas } = this.#context;
    const { width, height } = await sizeOf(source);
    const kept = mask && (await createImageBitmap(mask));
    Object.assign(canvas, { width, height });
    if (!kept) return;
    this.#context.fillStyle = paint;
    this.#context.fillRect(0, 0, width, height);
    this.#context.globalCompositeOperation = 'destination-out';
    this.#context.drawImage(kept, 0, 0);
    kept.close();
  }

  /** A stroke between two places, in pixels of the picture. */
  stroke(from: readonly [number, number], to: readonly [number, number], width: number, erase: boolean): void {
    const context = this.#context;
    context.globalCompositeOperation = erase ? 'destination-out' : 'source-over';
    context.strokeStyle = paint;
    context.lineWidth = width;
    context.lineCap = 'round';
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  }

  /** Opaque where nothing is painted; undefined where nothing is at all. */
  async mask(): Promise<Blob | undefined> {
    const { canvas } = this.#context;
    const { width, height } = canvas;
    const painted = this.#context.getImageData(0, 0, width, height).data;
    if (!painted.some((value, index) => index % 4 === 3 && value > 0)) return undefined;
    const kept = new OffscreenCanvas(width, height);
    const context = kept.getContext('2d')!;
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = 'destination-out';
    context.drawImage(canvas, 0, 0);
    return kept.convertToBlob({ type: 'image/png' });
  }
}

async function sizeOf(picture: Blob): Promise<{ width: number; height: number }> {
  const bitmap = await createImageBitmap(picture, { imageOrientation: 'from-image' });
  const { width, height } = bitmap;
  bitmap.close();
  return { width, height };
}
