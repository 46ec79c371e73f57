/** The server's API as an OpenAPI 3.1 document, made of the schemas that requests are checked with. */
import { z } from 'zod';
import { chatRequestSchema } from './chat-request.ts';
import { editFormSchema, editRequestSchema, generationRequestSchema } from './picture-request.ts';

// Two settings are checked by a function and have no JSON schema: lists of two numbers.
const schemaOf = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });

const json = (schema: object) => ({ 'application/json': { schema } });
const streamed = { 'text/event-stream': { schema: { type: 'string' } } };
const failures = {
  default: {
    description: 'An error.',
    content: json({
      type: 'object',
      properties: {
        error: {
          type: 'object',
          properties: {
            message: { type: 'string' },
            type: { type: 'string' },
            param: { type: ['string', 'null'] },
            code: { type: ['string', 'null'] },
          },
        },
      },
    }),
  },
};

const answers = (description: string, content: object = json({ type: 'object' })) => ({
  responses: { 200: { description, content }, ...failures },
});
const get = (summary: string, description: string, content?: object) => ({
  get: { summary, ...answers(description, content) },
});
const post = (summary: string, description: string, content: object) => ({
  post: {
    summary,
    requestBody: { required: true, content },
    ...answers(description, { ...json({ type: 'object' }), ...streamed }),
  },
});

/** The form's fields and its files. */
function formSchema(): object {
  const form = schemaOf(editFormSchema) as { properties: object };
  const file = { type: 'string', format: 'binary' };
  return { ...form, properties: { ...form.properties, image: file, mask: file } };
}

export function openApiDocument() {
  return {
    openapi: '3.1.0',
    info: { title: 'Starstack', version: '1', description: "STAR behind OpenAI's API. Fields beyond it are marked." },
    paths: {
      '/v1/models': get('List the model', 'A list of one.'),
      '/v1/models/{id}': {
        parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
        ...get(
          'Describe the model',
          'The model, the limits of the server, and by task the settings: JSON schemas of the fields, with its defaults.',
        ),
      },
      '/v1/images/generations': post('Draw a text', 'Pictures.', json(schemaOf(generationRequestSchema))),
      '/v1/images/edits': post('Change a picture', 'Pictures.', {
        'multipart/form-data': { schema: formSchema() },
        ...json(schemaOf(editRequestSchema)),
      }),
      '/v1/chat/completions': post('Answer about pictures and text', 'An answer.', json(schemaOf(chatRequestSchema))),
      '/': get('The studio', 'A page that draws, edits and asks.', { 'text/html': { schema: { type: 'string' } } }),
      '/training': get(
        'List the stages of the training that is watched',
        'Stages with the address of their log, `metrics.jsonl`, and of their preview sheets; none without --training.',
      ),
      '/healthz': get('Is the process alive?', 'It is.'),
      '/readyz': get('Are requests answered?', 'They are.'),
      '/metrics': get('Metrics', "Prometheus' text format.", { 'text/plain': { schema: { type: 'string' } } }),
      '/openapi.json': get('This document', 'It.'),
    },
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    security: [{}, { key: [] }],
  };
}
