/** Headers of the studio's pages: the server sends them, and the static site names them for whoever serves it. */

/** A page with these may share memory between threads. */
export const isolationHeaders: Readonly<Record<string, string>> = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
};

/** Nothing from elsewhere, no inline script or style. WebAssembly may be compiled, for models that run in the browser. */
export const studioHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self' blob:",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "connect-src 'self' blob: data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  ...isolationHeaders,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};
