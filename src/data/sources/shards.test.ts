import { describe, expect, it } from 'vitest';
import { expandBraces } from './shards.ts';

describe('expandBraces', () => {
  it('expands ranges and lists as a shell does', () => {
    expect(expandBraces('a.tar')).toEqual(['a.tar']);
    expect(expandBraces('a-{08..11}.tar')).toEqual(['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar']);
    expect(expandBraces('{8..10}')).toEqual(['8', '9', '10']);
    expect(expandBraces('{x,y}-{0..1}.tar')).toEqual(['x-0.tar', 'x-1.tar', 'y-0.tar', 'y-1.tar']);
    expect(expandBraces('{,a}b')).toEqual(['b', 'ab']);
  });

  it('refuses what does not end or is too much', () => {
    for (const pattern of ['a{', 'a}', '{a,{b}}', '{3..1}', '{0..999999999}', '{0..999}{0..999}']) {
      expect(() => expandBraces(pattern), pattern).toThrow(expect.objectContaining({ code: 'data_option_invalid' }));
    }
  });
});
