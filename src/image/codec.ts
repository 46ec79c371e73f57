/** Picture files as a platform reads and writes them: with sharp in Node, with a canvas in a browser. */
import type { AlphaPlane } from './mask.ts';
import type { RgbImage } from './rgb-image.ts';

/** Something that was asked for and that the file does not have. */
export interface SaveImageWarning {
  readonly code: 'text_not_saved';
  readonly message: string;
}

export interface SavedImage {
  readonly path: string;
  /** Size of the file. */
  readonly bytes: number;
  readonly warnings: readonly SaveImageWarning[];
}

export interface PictureCodec {
  /** Reads and decodes a JPEG, PNG or WebP file: its path in Node or its URL in a browser, or its bytes. */
  read(source: string | Blob): Promise<RgbImage>;
  /** Its transparency alone. */
  readAlpha(source: string | Blob): Promise<AlphaPlane>;
  /** A PNG file without loss, with text by keyword in it. */
  encodePng(image: RgbImage, text: Readonly<Record<string, string>>): Promise<Uint8Array>;
  /** Saves in the format that the ending names: on the disk in Node, as a download in a browser. */
  save(path: string, image: RgbImage, text: Readonly<Record<string, string>>): Promise<SavedImage>;
}
