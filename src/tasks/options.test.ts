import { expect, it } from 'vitest';
import { parsePictureOptions, publishedSampling } from './options.ts';

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
