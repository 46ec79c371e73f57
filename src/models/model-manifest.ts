/**
 * The list of a model folder's files that a browser downloads: a web server cannot be asked what a folder holds. It lies in
 * the folder itself, as `starstack-manifest.json`.
 */
import { z } from 'zod';

export const manifestName = 'starstack-manifest.json';

/** A path inside of the folder: plain names between slashes, none of them `.` or `..`. */
const pathPattern = /^(?!\.{1,2}(?:\/|$))[\w.+-]+(?:\/(?!\.{1,2}(?:\/|$))[\w.+-]+)*$/;

export const manifestSchema = z.object({
  version: z.literal(1),
  files: z
    .array(
      z.object({
        path: z.string().max(512).regex(pathPattern, 'a path inside of the model folder'),
        size: z.int().min(0),
        /** In hexadecimal digits. Tells whether a copy in the cache is still the same file. */
        sha256: z.string().regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits'),
      }),
    )
    .min(1)
    .max(1000),
});

export type ModelManifest = z.infer<typeof manifestSchema>;
export type ManifestFile = ModelManifest['files'][number];
