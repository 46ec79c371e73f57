/** Compiles a program, runs it in ONNX Runtime and compares every output with the float64 reference. */
import { type CompiledProgram, compile, type Tensor } from '../../src/tensor/index.ts';
import type { NumericArray } from './array.ts';
import { expectClose } from './check-case.ts';
import { evaluateReference } from './reference.ts';
import { runProgram, type SessionOptions } from './session.ts';

export interface CheckedProgram {
  readonly program: CompiledProgram;
  readonly results: Readonly<Record<string, NumericArray>>;
}

export async function checkProgram(
  inputs: readonly Tensor[],
  outputs: Readonly<Record<string, Tensor>>,
  feeds: Readonly<Record<string, NumericArray>>,
  options: SessionOptions & { readonly tolerance?: number } = {},
): Promise<CheckedProgram> {
  const program = compile({ name: 'checked', inputs, outputs });
  const results = await runProgram(program, feeds, options);
  const expected = evaluateReference(Object.values(outputs), inputs, { inputs: feeds, files: options.files });
  Object.keys(outputs).forEach((name, index) => {
    expectClose(results[name]!, expected[index]!, options.tolerance ?? 1e-5, name);
  });
  return { program, results };
}
