/** What each operator refuses, and that the error names operator, tensors and axis, what was expected and what was got. */
import { describe, expect, it } from 'vitest';
import { elementwiseMisuses } from '../../test/tensor/misuses/elementwise.ts';
import { type Misuse, x, y } from '../../test/tensor/misuses/fixtures.ts';
import { structureMisuses } from '../../test/tensor/misuses/structure.ts';
import { TensorError } from './error.ts';
import * as t from './index.ts';
import type { OperatorName } from './operators.ts';

/** An operator without a misuse does not compile. */
const misuses: { readonly [K in OperatorName]: readonly Misuse[] } = { ...elementwiseMisuses, ...structureMisuses };

for (const [operator, list] of Object.entries(misuses)) {
  describe(operator, () => {
    it.each(list)('refuses %s', (_, build, message) => {
      expect(build).toThrow(message);
      expect(build).toThrow(TensorError);
    });
  });
}

describe('errors', () => {
  it('carry the operator and the types as data', () => {
    try {
      t.matmul(x, y);
      expect.fail('matmul took what does not fit');
    } catch (error) {
      expect(error).toBeInstanceOf(TensorError);
      const { operator, code, details } = error as TensorError;
      expect({ operator, code, details }).toEqual({
        operator: 'matmul',
        code: 'tensor_invalid',
        details: {
          operator: 'matmul',
          inputs: [
            { dtype: 'float32', shape: [2, 3] },
            { dtype: 'float32', shape: [4, 3] },
          ],
        },
      });
    }
  });
});
