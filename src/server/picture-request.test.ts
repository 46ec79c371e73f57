import { expect, it } from 'vitest';
import { parseBody } from './body.ts';
import { editRequestSchema, generationRequestSchema, orderOf, type PictureRequest } from './picture-request.ts';

// Fields once came with the published defaults, so that nano drew without thinking and at temperature 1.
it('leaves what is not asked for to the task, which knows the defaults of the model', () => {
  const request = parseBody(generationRequestSchema, { prompt: 'a plum', top_k: 5 }) as PictureRequest;
  expect(orderOf(request, 24).options).toEqual({ count: 1, topK: 5, preview: 'none' });
  const edit = parseBody(editRequestSchema, { prompt: 'green', images: ['x'] }) as unknown as PictureRequest;
  expect(orderOf(edit, 24).options).toEqual({ count: 1, preview: 'none' });
});
