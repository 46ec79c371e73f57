import { fromBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { dtypes } from '../tensor/dtype.ts';
import { ModelProtoSchema } from '../tensor/onnx/generated/onnx_pb.ts';
import { operatorModel } from './operator-model.ts';

test.each([
  ['Identity', 1, 'float16'],
  ['Add', 2, 'float32'],
] as const)('%s is a model that the ONNX schema reads', (operator, arity, dtype) => {
  const model = fromBinary(ModelProtoSchema, operatorModel(operator, arity, dtype));
  expect(model.irVersion).toBe(10n);
  expect(model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([['', 21n]]);
  const { node, input, output } = model.graph!;
  expect(node.map(({ opType, input, output }) => ({ opType, input, output }))).toEqual([
    { opType: operator, input: Array(arity).fill('x'), output: ['y'] },
  ]);
  expect([...input, ...output].map(({ name }) => name)).toEqual(['x', 'y']);
  for (const { type } of [...input, ...output]) {
    expect(type?.value.case === 'tensorType' && type.value.value.elemType).toBe(dtypes[dtype].onnx);
  }
});
