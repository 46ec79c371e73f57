/** What a training tells while it goes on, and what it gives at its end. `step` counts the steps that are done. */
export type TrainingEvent =
  | {
      readonly type: 'training-started';
      /** 0 for a new one. */
      readonly step: number;
      /** Steps in all. */
      readonly steps: number;
      /** The checkpoint that it goes on from. */
      readonly resumedFrom: string | undefined;
      /** What may make it differ from an unbroken training. */
      readonly warnings: readonly string[];
    }
  | {
      readonly type: 'step-end';
      readonly step: number;
      readonly loss: number;
      /** Norm of all gradients before clipping. */
      readonly gradientNorm: number;
      readonly learningRate: number;
      /** Of the run that the step was in, with waiting for data and without saving and previews. */
      readonly samplesPerSecond: number;
      /** Means of the floating-point tensors that the stage reports. */
      readonly reported: Readonly<Record<string, number>>;
    }
  | {
      readonly type: 'maintenance-end';
      readonly step: number;
      readonly numbers: Readonly<Record<string, number>>;
    }
  | {
      readonly type: 'preview-available';
      readonly step: number;
      /** The sheet of pictures; undefined where there were only numbers. */
      readonly path: string | undefined;
      readonly numbers: Readonly<Record<string, number>>;
    }
  | {
      readonly type: 'checkpoint-saved';
      readonly step: number;
      readonly path: string;
      readonly bytes: number;
      readonly seconds: number;
    }
  /** A damaged checkpoint was passed over for the one before it, and put aside. */
  | { readonly type: 'checkpoint-skipped'; readonly path: string; readonly reason: string }
  /** Samples could not be read since the last such event. */
  | { readonly type: 'samples-skipped'; readonly step: number; readonly count: number };

export interface TrainingResult {
  /** Steps done. */
  readonly step: number;
  readonly stopped: 'finished' | 'aborted';
  /** Folder of the last checkpoint; its `weights.safetensors` (and `average.safetensors`) have the stage's names. */
  readonly checkpoint: string;
}
