/** What a training leaves to be looked at: metrics.jsonl, event files of TensorBoard, sheets of preview pictures. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurably } from '../checkpoint/durable.ts';
import { contactSheet } from '../image/contact-sheet.ts';
import { encodePng } from '../image/png.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import { type MetricsLine, MetricsLog } from './metrics.ts';
import { metricsFile, previewFolder, previewName } from './step-names.ts';
import { TensorBoardLog } from './tensorboard.ts';

export class TrainingJournal implements AsyncDisposable {
  readonly #folder: string;
  readonly #metrics: MetricsLog;
  readonly #tensorBoard: TensorBoardLog;

  private constructor(folder: string, metrics: MetricsLog, tensorBoard: TensorBoardLog) {
    this.#folder = folder;
    this.#metrics = metrics;
    this.#tensorBoard = tensorBoard;
  }

  /** Goes on after `step`: what the journal has past it belongs to steps that are done again. */
  static async open(folder: string, step: number): Promise<TrainingJournal> {
    const metrics = await MetricsLog.open(join(folder, metricsFile), step);
    try {
      return new TrainingJournal(folder, metrics, await TensorBoardLog.create(join(folder, 'tensorboard'), step));
    } catch (error) {
      await metrics[Symbol.asyncDispose]();
      throw error;
    }
  }

  async numbers(step: number, kind: MetricsLine['kind'], numbers: Readonly<Record<string, number>>): Promise<void> {
    if (Object.keys(numbers).length === 0) return;
    await this.#metrics.append({ ...numbers, step, kind });
    const tagged = Object.entries(numbers).map(([name, value]) => [`${kind}/${name}`, value]);
    await this.#tensorBoard.append(step, { scalars: Object.fromEntries(tagged) });
  }

  /** @returns the path of the sheet */
  async pictures(step: number, pictures: readonly RgbImage[]): Promise<string> {
    const sheet = contactSheet(pictures);
    const png = await encodePng(sheet);
    await mkdir(join(this.#folder, previewFolder), { recursive: true });
    const path = join(this.#folder, previewFolder, previewName(step));
    await writeFileDurably(path, [png]);
    await this.#tensorBoard.append(step, { pictures: { preview: { ...sheet, png } } });
    return path;
  }

  sync(): Promise<void> {
    return this.#metrics.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#metrics[Symbol.asyncDispose]();
    await this.#tensorBoard[Symbol.asyncDispose]();
  }
}
