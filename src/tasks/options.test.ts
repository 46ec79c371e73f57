import { expect, it } from 'vitest';
import { parseOptions, parsePictureOptions, publishedSampling, understandOptionsSchema } from './options.ts';

it("takes what is asked for, else the model's own settings, else the published ones", () => {
  const sampling = { generate: { guidance: 3, topP: 1 }, edit: { temperature: 0.5 } };
  const generate = (options: object) => parsePictureOptions(options, 'generate', sampling);
  expect(parsePictureOptions({}, 'generate')).toMatchObject(publishedSampling);
  expect(generate({})).toMatchObject({ ...publishedSampling, guidance: 3, topP: 1 });
  expect(generate({ guidance: 2, topP: undefined })).toMatchObject({ ...publishedSampling, guidance: 2, topP: 1 });
  expect(parsePictureOptions({}, 'edit', sampling)).toMatchObject({
    ...publishedSampling,
    temperature: 0.5,
  });
  expect(() => generate({ topP: 2 })).toThrow(/generate: option topP: .*got 2/);
});

it('takes stop texts as one or as a list, and says what it takes', () => {
  const stopOf = (stop: unknown) => parseOptions(understandOptionsSchema, { stop }, 'understand').stop;
  expect([stopOf(undefined), stopOf('a'), stopOf(['a', 'b'])]).toEqual([[], ['a'], ['a', 'b']]);
  for (const stop of [[...'abcde'], '', 5]) {
    expect(() => stopOf(stop)).toThrow(/option stop: expected a text of 1 to 256 characters, or up to four, got /);
  }
  expect(() => stopOf(['a', ''])).toThrow(/option stop\.1: .* >=1 characters, got ""/);
});
