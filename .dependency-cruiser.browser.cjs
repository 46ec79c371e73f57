/**
 * What a browser loads: nothing that `src/browser.ts`, the web worker or the studio reaches may need Node. Imports of types alone do
 * not count, since nothing of them is left when the code runs.
 */
module.exports = {
  forbidden: [
    {
      name: 'no-node-in-browsers',
      comment: 'split the module at a seam: an interface, one implementation for Node and one for browsers',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-native-packages-in-browsers',
      severity: 'error',
      from: {},
      to: { path: 'node_modules/(sharp|onnxruntime-node|fastify|tar-stream|hyparquet|commander|yaml)/' },
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'default', 'types'],
    },
  },
};
