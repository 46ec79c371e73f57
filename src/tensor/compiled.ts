import type { DType } from './dtype.ts';

/** One input or output of a compiled program. A name in a shape is a dimension known only when the program runs. */
export interface PortType {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
}

/** A traced program as an ONNX model, ready for `runtime`. */
export interface CompiledProgram {
  readonly name: string;
  /** The serialized ONNX `ModelProto`. Weights may lie outside of it, in files below the folder given at load time. */
  readonly model: Uint8Array;
  readonly inputs: readonly PortType[];
  readonly outputs: readonly PortType[];
}
