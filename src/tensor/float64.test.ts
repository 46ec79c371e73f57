import { describe, it } from 'vitest';
import { operatorCases } from '../../test/tensor/cases/index.ts';
import { checkCase } from '../../test/tensor/check-case.ts';
import type { OperatorName } from './operators.ts';

for (const [operator, { gradient, cases }] of Object.entries(operatorCases)) {
  describe(operator, () => {
    cases.forEach((operatorCase, index) => {
      it(operatorCase.name, () =>
        checkCase(operator as OperatorName, operatorCase, gradient, { seed: index, precision: 'float64' }));
    });
  });
}
