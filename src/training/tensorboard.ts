/**
 * Event files that TensorBoard reads. A file is a row of TFRecords (`tsl/lib/io/record_writer.cc`: length, its checksum,
 * data, its checksum), each of which is an `Event` message (`tensorboard/compat/proto/event.proto`). Only the few fields
 * that scalars and pictures need are written here, by hand.
 */
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';

/** A picture as a PNG file. */
export interface EventPicture {
  readonly width: number;
  readonly height: number;
  readonly png: Uint8Array;
}

/** What one event shows at a step. */
export interface EventSummary {
  readonly scalars?: Readonly<Record<string, number>>;
  readonly pictures?: Readonly<Record<string, EventPicture>>;
}

export class TensorBoardLog implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly #now: () => number;

  private constructor(handle: FileHandle, now: () => number) {
    this.#handle = handle;
    this.#now = now;
  }

  /**
   * Starts a new event file in `folder`.
   * @param step steps done: TensorBoard drops what earlier files of the folder have past it
   * @param now seconds since 1970. Default: the system's clock.
   */
  static async create(
    folder: string,
    step: number,
    now: () => number = () => Date.now() / 1000,
  ): Promise<TensorBoardLog> {
    await mkdir(folder, { recursive: true });
    const seconds = String(Math.floor(now())).padStart(10, '0');
    const log = new TensorBoardLog(await openNew(folder, seconds), now);
    await log.#write(encodeEvent(now(), 0, bytesField(3, Buffer.from('brain.Event:2'))));
    // SessionLog.status = START.
    if (step > 0) await log.#write(encodeEvent(now(), step + 1, bytesField(7, varintField(1, 1))));
    return log;
  }

  async append(step: number, { scalars = {}, pictures = {} }: EventSummary): Promise<void> {
    const values = [
      ...Object.entries(scalars).map(([tag, value]) => [bytesField(1, Buffer.from(tag)), floatField(2, value)]),
      ...Object.entries(pictures).map(([tag, picture]) => [
        bytesField(1, Buffer.from(tag)),
        bytesField(4, encodePicture(picture)),
      ]),
    ];
    const summary = Buffer.concat(values.map((fields) => bytesField(1, Buffer.concat(fields))));
    await this.#write(encodeEvent(this.#now(), step, bytesField(5, summary)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  async #write(event: Uint8Array): Promise<void> {
    await this.#handle.appendFile(encodeRecord(event));
  }
}

/** A file that was not there: a training that is resumed within a second must not write into the other's. */
async function openNew(folder: string, seconds: string): Promise<FileHandle> {
  for (let count = 0; ; count++) {
    try {
      return await open(join(folder, `events.out.tfevents.${seconds}.starstack.${count}`), 'ax');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** wall_time and step, then what the event is about. */
function encodeEvent(seconds: number, step: number, content: Uint8Array): Buffer {
  const time = Buffer.alloc(9);
  time[0] = (1 << 3) | 1;
  time.writeDoubleLE(seconds, 1);
  return Buffer.concat([time, varintField(2, step), content]);
}

/** height, width, colorspace (3 is RGB), encoded_image_string. */
function encodePicture({ width, height, png }: EventPicture): Buffer {
  return Buffer.concat([varintField(1, height), varintField(2, width), varintField(3, 3), bytesField(4, png)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  // Steps may be past 2^31, where bit operations end.
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Buffer.from([...bytes, left]);
    bytes.push((left % 128) | 128);
  }
}

function varintField(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function bytesField(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = (field << 3) | 5;
  bytes.writeFloatLE(value, 1);
  return bytes;
}

/** Length (uint64), its checksum, data, its checksum; little-endian. */
export function encodeRecord(data: Uint8Array): Buffer {
  const record = Buffer.alloc(12 + data.length + 4);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return record;
}

/** CRC-32C, turned by 15 bits and moved: a checksum of data that holds checksums would otherwise be weak. */
function maskedCrc32c(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Castagnoli's polynomial, bits reversed. */
const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C (RFC 3720, B.4), unsigned. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
