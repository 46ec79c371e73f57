/** ONNX models of one operator, for the runtime's own needs: to try a device, and to move tensors to and from it. */
import { type DType, dtypes } from '../tensor/dtype.ts';

/**
 * A serialized `ModelProto` with one node: `y = operator(x, …, x)`, where `x` is a tensor of any shape that is passed
 * `arity` times.
 *
 * Written by hand, since it is fifty lines of bytes and the runtime stays free of the ONNX schema. Field numbers are those of
 * `src/tensor/onnx/onnx.proto`.
 */
export function operatorModel(operator: 'Identity' | 'Add', arity: number, dtype: DType): Uint8Array {
  const node = [...Array<number[]>(arity).fill(text(1, 'x')), text(2, 'y'), text(4, operator)].flat();
  const port = (name: string) => {
    const tensor = varint(1, dtypes[dtype].onnx);
    return [...text(1, name), ...message(2, message(1, tensor))];
  };
  const graph = [...message(1, node), ...text(2, operator), ...message(11, port('x')), ...message(12, port('y'))];
  const opset = varint(2, 21);
  return Uint8Array.from([...varint(1, 10), ...message(7, graph), ...message(8, opset)]);
}

/** All numbers in these models are below 128, and so one byte. */
function varint(field: number, value: number): number[] {
  return [field << 3, value];
}

function message(field: number, content: readonly number[]): number[] {
  return [(field << 3) | 2, content.length, ...content];
}

function text(field: number, value: string): number[] {
  return message(
    field,
    [...value].map((letter) => letter.charCodeAt(0)),
  );
}
