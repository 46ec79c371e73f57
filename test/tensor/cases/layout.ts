/** Cases of operators that move elements, and of those that read and write by position. */
import {
  arange,
  cast,
  concat,
  expand,
  full,
  gather,
  gatherElements,
  indexAdd,
  lastPosition,
  multiply,
  oneHot,
  pad,
  positionsFrom,
  reshape,
  scatterElements,
  slice,
  split,
  squeeze,
  topK,
  transpose,
  unsqueeze,
} from '../../../src/tensor/index.ts';
import { bools, distinct, exactly, float, integers, type OperatorCases, operatorCase, sized } from './case.ts';

const sizes = { n: 3, m: 2, past: 4 };

export const layoutCases = {
  reshape: {
    gradient: 'checked',
    cases: [
      operatorCase('fixed', [float([2, 6])], (x) => reshape(x, [3, 4]), [3, 4]),
      operatorCase('to no axes and back', [float([1, 1])], (x) => [reshape(x, []), reshape(reshape(x, []), [1])], [
        [],
        [1],
      ]),
      operatorCase('what is left', [float([2, 3, 4])], (x) => reshape(x, [4, -1]), [4, 6]),
      operatorCase('a named size stays', [float(['n', 2, 3])], (x) => reshape(x, ['n', -1]), ['n', 6], { sizes }),
      operatorCase('named sizes joined', [float(['n', 'm', 4])], (x) => reshape(x, ['n*m', 2, 2]), ['m*n', 2, 2], {
        sizes,
      }),
      operatorCase(
        'and parted',
        [float(['m*n', 4]), sized(['n', 'm'])],
        (x) => reshape(x, ['n', 'm', 4]),
        ['n', 'm', 4],
        { sizes },
      ),
      operatorCase('no elements', [float([0, 6])], (x) => reshape(x, [3, 0, 2]), [3, 0, 2]),
      operatorCase('no elements, what is left', [float([0, 6])], (x) => reshape(x, [-1, 3]), [0, 3]),
      operatorCase('a named size that is 0', [float(['n', 6])], (x) => reshape(x, [2, 'n', 3]), [2, 'n', 3], {
        sizes: { n: 0 },
      }),
      operatorCase('two named sizes, one is 0', [float(['n', 'm'])], (x) => reshape(x, ['m', 'n', 1]), ['m', 'n', 1], {
        sizes: { n: 0, m: 2 },
      }),
      operatorCase('unsqueeze and squeeze', [float([2, 3])], (x) => [unsqueeze(x, -1), squeeze(unsqueeze(x, 0), -3)], [
        [2, 3, 1],
        [2, 3],
      ]),
      operatorCase(
        'int64 and bool',
        [integers([4], -9, 9), bools([4])],
        (x, y) => [reshape(x, [2, 2]), reshape(y!, [2, 2])],
        [
          [2, 2],
          [2, 2],
        ],
      ),
    ],
  },
  transpose: {
    gradient: 'checked',
    cases: [
      operatorCase('a matrix', [float([2, 3])], (x) => transpose(x, [1, 0]), [3, 2]),
      operatorCase('a cycle', [float([2, 3, 4])], (x) => transpose(x, [2, 0, 1]), [4, 2, 3]),
      operatorCase('named', [float(['n', 2, 1, 'm'])], (x) => transpose(x, [0, 3, 1, 2]), ['n', 'm', 2, 1], { sizes }),
      operatorCase('no elements', [float([0, 2])], (x) => transpose(x, [1, 0]), [2, 0]),
    ],
  },
  slice: {
    gradient: 'checked',
    cases: [
      operatorCase('inside', [float([2, 7])], (x) => slice(x, 1, 2, 5), [2, 3]),
      operatorCase('negative axis, from the end', [float([2, 7])], (x) => slice(x, -1, -3), [2, 3]),
      operatorCase('up to before the end', [float([7, 2])], (x) => slice(x, 0, 1, -2), [4, 2]),
      operatorCase(
        'with steps',
        [float([2, 7])],
        (x) => [slice(x, 1, 1, 7, 2), slice(x, 1, 0, 7, 3), slice(x, 1, 6, 7, 4)],
        [
          [2, 3],
          [2, 3],
          [2, 1],
        ],
      ),
      operatorCase('nothing', [float([2, 7])], (x) => [slice(x, 1, 7), slice(x, 1, 0, 0)], [
        [2, 0],
        [2, 0],
      ]),
      operatorCase('a named size from the start', [float(['n', 2])], (x) => slice(x, 0, 1), ['n+-1', 2], { sizes }),
      operatorCase(
        'a named start',
        [float(['past+n', 2]), sized(['past', 'n'])],
        (x) => slice(x, 0, 'past'),
        ['n', 2],
        { sizes },
      ),
      operatorCase(
        'a fixed length at a named start',
        [float(['n+past', 2]), sized(['n', 'past'])],
        (x) => slice(x, 0, 'n', 'n+2'),
        [2, 2],
        { sizes },
      ),
      operatorCase(
        'every second of a named size',
        [float(['2*n', 2]), sized(['n'])],
        (x) => slice(x, 0, 0, undefined, 2),
        ['n', 2],
        { sizes },
      ),
      operatorCase('split', [float([2, 7])], (x) => split(x, -1, [2, 4, 1]), [
        [2, 2],
        [2, 4],
        [2, 1],
      ]),
      operatorCase(
        'split by named sizes',
        [float(['n+past', 2]), sized(['n', 'past'])],
        (x) => split(x, 0, ['past', 'n']),
        [
          ['past', 2],
          ['n', 2],
        ],
        { sizes },
      ),
      operatorCase('int64', [integers([5], -9, 9)], (x) => slice(x, 0, 1, 4), [3]),
    ],
  },
  concat: {
    gradient: 'checked',
    cases: [
      operatorCase('two', [float([2, 3]), float([2, 1])], (a, b) => concat([a!, b!], 1), [2, 4]),
      operatorCase('negative axis', [float([2, 3]), float([1, 3])], (a, b) => concat([a!, b!], -2), [3, 3]),
      operatorCase('the same twice', [float([2])], (x) => concat([x, x], 0), [4]),
      operatorCase('one of no elements', [float([2, 0]), float([2, 3])], (a, b) => concat([a!, b!], 1), [2, 3]),
      operatorCase('named', [float(['past', 2]), float(['n', 2])], (a, b) => concat([a!, b!], 0), ['n+past', 2], {
        sizes,
      }),
      operatorCase(
        'named, past 0',
        [float(['past', 2]), float(['n', 2])],
        (a, b) => concat([a!, b!], 0),
        ['n+past', 2],
        { sizes: { n: 3, past: 0 } },
      ),
    ],
  },
  pad: {
    gradient: 'checked',
    cases: [
      operatorCase('asymmetric', [float([2, 3])], (x) => pad(x, [0, 1], [2, 0]), [4, 4]),
      operatorCase('a value', [float([2])], (x) => pad(x, [1], [1], -1.5), [4]),
      operatorCase(
        'infinities',
        [float([2])],
        (x) => [pad(x, [1], [0], Infinity), pad(x, [1], [0], -Infinity)],
        [[3], [3]],
        { kinks: [0] },
      ),
      operatorCase('named', [float(['n', 2])], (x) => pad(x, [1, 0], [2, 1]), ['n+3', 3], { sizes }),
      operatorCase('no elements', [float([0])], (x) => pad(x, [1], [1], 4), [2]),
    ],
  },
  expand: {
    gradient: 'checked',
    cases: [
      operatorCase('an axis of size 1', [float([2, 1])], (x) => expand(x, [2, 3]), [2, 3]),
      operatorCase('new axes in front', [float([2])], (x) => expand(x, [3, 4, 2]), [3, 4, 2]),
      operatorCase('both', [float([1, 2, 1])], (x) => expand(x, [2, 3, 2, 3]), [2, 3, 2, 3]),
      operatorCase('to a named size', [float([1, 2]), sized(['n'])], (x) => expand(x, ['n', 2]), ['n', 2], { sizes }),
      operatorCase(
        'to a polynomial',
        [float([1, 2]), sized(['n', 'm'])],
        (x) => expand(x, ['m*n+n', 2]),
        ['m*n+n', 2],
        { sizes },
      ),
      operatorCase('to nothing', [float([1, 2])], (x) => expand(x, [0, 2]), [0, 2]),
      operatorCase('a full tensor', [float(['n', 'm'])], (x) => multiply(x, full(x.dtype, ['n', 'm'], 2)), ['n', 'm'], {
        sizes,
      }),
      operatorCase(
        'a full tensor, size written in another order',
        [float(['n', 'm'])],
        (x) => [full(x.dtype, ['n+m'], 2), multiply(x, 1)],
        [['m+n'], ['n', 'm']],
        { sizes },
      ),
    ],
  },
} satisfies Record<string, OperatorCases>;

/** No index twice in a row. */
const unique = exactly('int64', [2, 3], [2, 0, 1, 0, 3, 2]);

export const indexingCases = {
  gather: {
    gradient: 'checked',
    cases: [
      operatorCase(
        'rows, some twice',
        [float([4, 3]), exactly('int64', [5], [1, 3, 1, 1, 0])],
        (x, i) => gather(x!, i!),
        [5, 3],
      ),
      operatorCase(
        '2-D indices on axis 1',
        [float([2, 5, 3]), integers([2, 4], 0, 4)],
        (x, i) => gather(x!, i!, 1),
        [2, 2, 4, 3],
      ),
      operatorCase(
        'negative axis, int32 indices',
        [float([2, 5]), integers([3], 0, 4, 'int32')],
        (x, i) => gather(x!, i!, -1),
        [2, 3],
      ),
      operatorCase('a scalar index', [float([4, 3]), integers([], 0, 3)], (x, i) => gather(x!, i!), [3]),
      operatorCase(
        'indices from the end',
        [float([4, 2]), exactly('int64', [3], [-1, -4, 2])],
        (x, i) => gather(x!, i!),
        [3, 2],
      ),
      operatorCase('no indices', [float([4, 2]), integers([0], 0, 3)], (x, i) => gather(x!, i!), [0, 2]),
      operatorCase(
        'named on both sides',
        [float(['n', 2]), integers(['m', 2], 0, 2)],
        (x, i) => gather(x!, i!),
        ['m', 2, 2],
        { sizes },
      ),
      operatorCase('positions from arange', [float([5, 2]), sized(['n'])], (x) => gather(x!, arange('n')), ['n', 2], {
        sizes,
      }),
      operatorCase(
        'positions from a start',
        [float([5, 2]), integers([], 1, 1), sized(['n'])],
        (x, start) => gather(x!, positionsFrom(start!, 'n')),
        ['n', 2],
        { sizes },
      ),
      operatorCase('the last position', [float([2, 'n', 2])], (x) => gather(x!, lastPosition('n'), 1), [2, 1, 2], {
        sizes,
      }),
    ],
  },
  gatherElements: {
    gradient: 'checked',
    cases: [
      operatorCase('axis 1', [float([2, 4]), integers([2, 3], 0, 3)], (x, i) => gatherElements(x!, i!, 1), [2, 3]),
      operatorCase(
        'axis 0, int32, smaller in the other axis',
        [float([4, 3]), integers([2, 2], 0, 3, 'int32')],
        (x, i) => gatherElements(x!, i!, 0),
        [2, 2],
      ),
      operatorCase(
        'negative axis and indices',
        [float([2, 4]), integers([2, 3], -4, -1)],
        (x, i) => gatherElements(x!, i!, -1),
        [2, 3],
      ),
      operatorCase(
        'named',
        [float(['n', 4]), integers(['n', 1], 0, 3)],
        (x, i) => gatherElements(x!, i!, 1),
        ['n', 1],
        { sizes },
      ),
    ],
  },
  scatterElements: {
    gradient: 'checked',
    cases: [
      operatorCase(
        'replaces',
        [float([2, 4]), unique, float([2, 3])],
        (x, i, u) => scatterElements(x!, i!, u!, 1),
        [2, 4],
      ),
      operatorCase(
        'adds, some twice',
        [float([2, 4]), integers([2, 6], 0, 3), float([2, 6])],
        (x, i, u) => scatterElements(x!, i!, u!, 1, 'add'),
        [2, 4],
      ),
      operatorCase(
        'axis 0, negative indices',
        [float([4, 2]), exactly('int64', [2, 2], [-1, 0, 1, -2]), float([2, 2])],
        (x, i, u) => scatterElements(x!, i!, u!, 0),
        [4, 2],
      ),
      operatorCase(
        'int64 values',
        [integers([2, 4], 0, 9), unique, integers([2, 3], 0, 9)],
        (x, i, u) => scatterElements(x!, i!, u!, 1),
        [2, 4],
      ),
    ],
  },
  indexAdd: {
    gradient: 'checked',
    cases: [
      operatorCase(
        'rows, some twice',
        [float([4, 3]), exactly('int64', [5], [1, 3, 1, 1, 0]), float([5, 3])],
        (x, i, u) => indexAdd(x!, i!, u!),
        [4, 3],
      ),
      operatorCase(
        'a middle axis, int32',
        [float([2, 4, 3]), integers([5], 0, 3, 'int32'), float([2, 5, 3])],
        (x, i, u) => indexAdd(x!, i!, u!, 1),
        [2, 4, 3],
      ),
      operatorCase(
        'the last axis, from the end',
        [float([2, 4]), integers([3], -4, -1), float([2, 3])],
        (x, i, u) => indexAdd(x!, i!, u!, -1),
        [2, 4],
      ),
      operatorCase('one axis', [float([4]), integers([6], 0, 3), float([6])], (x, i, u) => indexAdd(x!, i!, u!), [4]),
      operatorCase(
        'no updates',
        [float([4, 2]), integers([0], 0, 3), float([0, 2])],
        (x, i, u) => indexAdd(x!, i!, u!),
        [4, 2],
      ),
      operatorCase(
        'named',
        [float(['n', 2]), integers(['m'], 0, 2), float(['m', 2])],
        (x, i, u) => indexAdd(x!, i!, u!),
        ['n', 2],
        { sizes },
      ),
    ],
  },
  oneHot: {
    gradient: { absent: 'the index is no number' },
    cases: [
      operatorCase('from floats', [distinct([3])], (x) => oneHot(cast(multiply(x, 4), 'int64'), 4), [3, 4]),
      operatorCase('int64', [integers(['n', 2], 0, 4)], (x) => oneHot(x, 5), ['n', 2, 5], { sizes }),
      operatorCase('int32 indices', [integers([4], 0, 2, 'int32')], (x) => oneHot(x, 3), [4, 3]),
      operatorCase('int64 result', [integers([4], 0, 2)], (x) => oneHot(x, 3, 'int64'), [4, 3]),
      operatorCase('bool result', [integers([4], 0, 2)], (x) => oneHot(x, 3, 'bool'), [4, 3]),
      operatorCase('int32 result', [integers([4], 0, 2)], (x) => oneHot(x, 3, 'int32'), [4, 3]),
      operatorCase('a scalar', [integers([], 0, 2)], (x) => oneHot(x, 3), [3]),
    ],
  },
  topK: {
    gradient: 'checked',
    cases: [
      operatorCase('largest', [distinct([2, 6])], (x) => Object.values(topK(x, 3)), [
        [2, 3],
        [2, 3],
      ]),
      operatorCase(
        'smallest on axis 0',
        [distinct([6, 2])],
        (x) => Object.values(topK(x, 2, { axis: 0, largest: false })),
        [
          [2, 2],
          [2, 2],
        ],
      ),
      operatorCase(
        'all',
        [distinct(['n', 4])],
        (x) => Object.values(topK(x, 4)),
        [
          ['n', 4],
          ['n', 4],
        ],
        { sizes },
      ),
      operatorCase(
        'k known at run time',
        [distinct([2, 6]), exactly('int64', [1], [4])],
        (x, k) => Object.values(topK(x!, k!, { name: 'kept' })),
        [
          [2, 'kept'],
          [2, 'kept'],
        ],
      ),
      operatorCase(
        'equal elements: the first one first',
        [exactly('float32', [5], [1, 2, 2, 0, 2])],
        (x) => Object.values(topK(x, 3)),
        [[3], [3]],
        { kinks: [0] },
      ),
    ],
  },
} satisfies Record<string, OperatorCases>;
