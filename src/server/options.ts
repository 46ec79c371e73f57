/** What can be set about a server: the command line and the library check it with this schema. */
import { z } from 'zod';

/** Whether a text is an origin as `URL.origin` writes it. */
function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

const mebibytes = z.number().positive().max(1024);

export const serverOptionsSchema = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('Address to listen on. Default 127.0.0.1.'),
  port: z.int().min(0).max(65_535).default(8080).describe('Port to listen on; 0 takes a free one. Default 8080.'),
  apiKey: z.string().min(8).max(512).optional().describe('What clients must send as bearer token. Default: none.'),
  queue: z
    .int()
    .min(1)
    .max(10_000)
    .default(64)
    .describe('Requests that may run or wait; one more is told to come back later (429). Default 64.'),
  deadline: z
    .number()
    .positive()
    .max(86_400)
    .default(600)
    .describe('Seconds that a request may wait and run. Default 600.'),
  drain: z
    .number()
    .min(0)
    .max(86_400)
    .default(30)
    .describe('Seconds that accepted requests may go on after SIGTERM. Default 30.'),
  heartbeat: z
    .number()
    .positive()
    .max(600)
    .default(15)
    .describe('Seconds between signs of life in a stream. Default 15.'),
  maxBody: mebibytes.default(32).describe('Largest JSON body, in MiB. Default 32.'),
  maxFile: mebibytes.default(25).describe('Largest picture file, in MiB. Default 25.'),
  maxPixels: z
    .int()
    .min(1)
    .max(2 ** 30)
    .default(33_000_000)
    .describe('Most pixels of all pictures of a request together. Default 33000000.'),
  studio: z
    .union([z.boolean(), z.string().min(1)])
    .default(true)
    .describe('The studio at /: false leaves it out, a folder serves another build of it. Default true.'),
  training: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Folder of a training, --out of starstack train, whose logs and previews the studio shows. Default: none.',
    ),
  allowHost: z
    .array(z.string().min(1))
    .default([])
    .describe('Further names in the Host header that are answered. Default: on loopback its own names, else any.'),
  allowOrigin: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'Web origins whose pages may ask, such as https://example.org. Default: the own origin; on loopback any there.',
    ),
  allowImageOrigin: z
    .array(
      z.string().refine(isOrigin, 'expected an origin such as https://example.org, of http or https, without a path'),
    )
    .default([])
    .describe(
      'Origins, such as https://example.org, from which pictures that requests name by URL are fetched. Private addresses ' +
        'only where listed as such. Default: none.',
    ),
});

export type ServerOptions = z.input<typeof serverOptionsSchema>;
export type ResolvedServerOptions = z.output<typeof serverOptionsSchema>;

export const bytesPerMebibyte = 2 ** 20;

/** Pictures that a request may carry, the mask of an edit aside. */
export const maxPictures = 16;

/** True for addresses that only programs of this computer reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
