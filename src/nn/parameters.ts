/**
 * Parameters of layers. Each layer has a function that declares its parameters by name and shape and returns them as a
 * typed record; the layer itself is a function over that record. What a declared parameter *is* the caller decides: a
 * weight in a checkpoint, an input of a training program, or only an entry in a list.
 */
import { input, type Tensor } from '../tensor/index.ts';

/** Gives the tensor for a parameter of this name and shape. */
export type Declare = (name: string, shape: readonly number[]) => Tensor;

/** Declares below a prefix: `within(declare, 'layers.0')('weight', …)` declares `layers.0.weight`. */
export function within(declare: Declare, prefix: string): Declare {
  return (name, shape) => declare(`${prefix}.${name}`, shape);
}

/** Name and shape of every parameter that `build` declares, in order. */
export function parameterShapes(build: (declare: Declare) => unknown): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  build((name, shape) => {
    shapes.set(name, shape);
    return input(name, 'float32', shape);
  });
  return shapes;
}
