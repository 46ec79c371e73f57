import { expect, it } from 'vitest';
import { Pace } from './pace.ts';

it('says nothing before there is something to divide, then tokens a second and what is left', () => {
  const pace = new Pace(1000);
  expect([pace.perSecond, pace.secondsLeft(100)]).toEqual([undefined, undefined]);
  pace.tell(20, 3000);
  expect([pace.perSecond, pace.secondsLeft(100)]).toEqual([10, 8]);
  pace.tell(99, 10_900);
  expect(pace.secondsLeft(100)).toBe(1);
  pace.tell(100, 11_000);
  expect(pace.secondsLeft(100)).toBeUndefined();
});

it('leaves out tokens that were done before its clock began', () => {
  const pace = new Pace(0, 16);
  pace.tell(32, 2000);
  expect(pace.perSecond).toBe(8);
});
