/** The operators that also run in float64 on ONNX Runtime's CPU kernels, to 12 digits; the others say why not. */
import { describe, expect, it } from 'vitest';
import { operatorCases } from '../../test/tensor/cases/index.ts';
import { checkCase } from '../../test/tensor/check-case.ts';
import type { OperatorName } from './operators.ts';

const noKernel = 'ONNX Runtime has no float64 kernel';
const roundedEpsilon = 'the kernel takes epsilon in float32';

const without: { readonly [K in OperatorName]?: string } = {
  weight: 'its case reads a float32 file',
  cast: 'its cases go from float32 to float64',
  errorFunction: noKernel,
  gelu: noKernel,
  conv2d: noKernel,
  convTranspose2d: noKernel,
  resizeNearest: noKernel,
  resizeBilinear: noKernel,
  rotaryEmbedding: noKernel,
  groupedQueryAttention: noKernel,
  packedAttention: noKernel,
  groupNorm: noKernel,
  layerNorm: roundedEpsilon,
  rmsNorm: roundedEpsilon,
};

for (const [operator, { gradient, cases }] of Object.entries(operatorCases)) {
  const reason = without[operator as OperatorName];
  describe(operator, () => {
    const run = (index: number) =>
      checkCase(operator as OperatorName, cases[index]!, gradient, { seed: index, precision: 'float64' });
    // One test an operator: the cases themselves are told apart by operators.test.ts.
    if (reason === undefined) {
      it('runs', async () => {
        for (const index of cases.keys()) await run(index);
      });
    } else if (reason === noKernel) {
      // This list must shrink when ONNX Runtime grows.
      it(reason, () =>
        expect(run(0)).rejects.toThrow(/find an implementation|float32 only|tensor\(double\).* is invalid/),
      );
    } else it.skip(reason, () => {});
  });
}
