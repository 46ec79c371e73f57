import { expect, it } from 'vitest';
import { chinese } from './chinese.ts';
import { english } from './english.ts';

it('has every message in both languages, of the same kind, and none empty', () => {
  expect(Object.keys(chinese)).toEqual(Object.keys(english));
  for (const [key, message] of Object.entries(english)) {
    const other = chinese[key as keyof typeof chinese];
    expect(typeof other, key).toBe(typeof message);
    if (typeof other === 'string') expect(other.trim(), key).not.toBe('');
    else expect(other.length, `${key}: arguments`).toBeLessThanOrEqual((message as { length: number }).length);
  }
});
