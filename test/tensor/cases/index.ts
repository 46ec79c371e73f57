/** Every operator's cases in one table: an operator without cases does not compile. */
import type { OperatorName } from '../../../src/tensor/operators.ts';
import type { OperatorCases } from './case.ts';
import { binaryCases, compareAndLogicCases, leafCases, mixedCases, unaryCases } from './elementwise.ts';
import { indexingCases, layoutCases } from './layout.ts';
import { productCases } from './products.ts';
import { spatialCases } from './spatial.ts';

export const operatorCases: { readonly [K in OperatorName]: OperatorCases } = {
  ...leafCases,
  ...unaryCases,
  ...binaryCases,
  ...compareAndLogicCases,
  ...mixedCases,
  ...layoutCases,
  ...indexingCases,
  ...productCases,
  ...spatialCases,
};
