import { expect, test } from 'vitest';
import { answersEqual, mmeAnswer, normalizeAnswer, numberAnswer, popeAnswer } from './answers.ts';

test.each([
  ['No, there is none.', 'no'],
  ['There is not', 'no'],
  ['Maybe', 'yes'],
  ['Yes, a dog. No cat.', 'yes'],
  ['no', 'no'],
  ['NO', 'yes'],
  ['Nothing', 'yes'],
])("POPE's rule: %s", (reply, expected) => {
  expect(popeAnswer(reply)).toBe(expected);
});

test.each([
  ['Yes', 'yes'],
  [' yes.', 'yes'],
  ['No, it', 'no'],
  ['The answer is yes', null],
])("MME's rule: %s", (reply, expected) => {
  expect(mmeAnswer(reply)).toBe(expected);
});

test('one spelling', () => {
  expect(normalizeAnswer('The Wine-Glass.')).toBe('wine glass');
  expect(normalizeAnswer('Two')).toBe('2');
});

test('the only number counts', () => {
  expect(numberAnswer('There are three dogs.')).toBe(3);
  expect(numberAnswer('3 dogs, yes, three')).toBe(3);
  expect(numberAnswer('2 or 3')).toBeNull();
  expect(numberAnswer('none')).toBe(0);
  expect(numberAnswer('many')).toBeNull();
});

test.each([
  ['Yes.', 'yes', true],
  ['Maybe', 'yes', false],
  ['no', 'yes', false],
  ['sixteen', '16', true],
  ['The dog', 'dog', true],
  ['It is a dog', 'dog', true],
  ['red', 'blue', false],
  ['the top left', 'top left', true],
  ['in the top', 'top left', false],
])('%s for %s: %s', (reply, answer, expected) => {
  expect(answersEqual(reply, answer)).toBe(expected);
});

test('a sentence counts when it names the answer and no other', () => {
  const places = ['top', 'left', 'top left', 'right'];
  expect(answersEqual('The dog sits at the top left of the picture', 'top left', [], places)).toBe(true);
  expect(answersEqual('The dog sits at the top left or right', 'top left', [], places)).toBe(false);
  expect(answersEqual('The dog sits at the top left of it', 'top', [], places)).toBe(false);
  expect(answersEqual('upper left', 'top left', ['upper left'], places)).toBe(true);
});
