/** Element types of tensors: one table for sizes, ONNX codes and JavaScript arrays. */

/** An element type that a tensor can have. */
export type DType =
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'float64'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool';

/** A JavaScript array that can hold a tensor's elements. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array
  | BigInt64Array;

interface DTypeInfo {
  /** Bytes of one element. */
  readonly bytes: number;
  /** `TensorProto.DataType` of the ONNX standard. */
  readonly onnx: number;
  /** The array that holds raw elements; 16-bit floats are held as their bits. */
  readonly array:
    | Float32ArrayConstructor
    | Float64ArrayConstructor
    | Uint16ArrayConstructor
    | Int32ArrayConstructor
    | Int16ArrayConstructor
    | Int8ArrayConstructor
    | Uint8ArrayConstructor
    | BigInt64ArrayConstructor;
}

export const dtypes: Readonly<Record<DType, DTypeInfo>> = {
  float32: { bytes: 4, onnx: 1, array: Float32Array },
  uint8: { bytes: 1, onnx: 2, array: Uint8Array },
  int8: { bytes: 1, onnx: 3, array: Int8Array },
  int16: { bytes: 2, onnx: 5, array: Int16Array },
  int32: { bytes: 4, onnx: 6, array: Int32Array },
  int64: { bytes: 8, onnx: 7, array: BigInt64Array },
  bool: { bytes: 1, onnx: 9, array: Uint8Array },
  float16: { bytes: 2, onnx: 10, array: Uint16Array },
  float64: { bytes: 8, onnx: 11, array: Float64Array },
  bfloat16: { bytes: 2, onnx: 16, array: Uint16Array },
};

/** True for the types that have gradients. */
export function isFloating(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float64';
}
