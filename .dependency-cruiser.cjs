/**
 * The house rules of docs/ARCHITECTURE.md: a room of `src/` imports only what stands before it in this list,
 * and nothing imports in a circle.
 */
const rooms = [
  'tensor',
  'runtime',
  'checkpoint',
  'image',
  'nn',
  'models',
  'tasks',
  'data',
  'training',
  'evaluation',
  'server',
  'cli',
];

const { builtinModules } = require('node:module');

/** Node's own modules, and packages that are compiled for it. */
const nodeOnly = `^(node:)?(${builtinModules.join('|')})$|node_modules/(sharp|onnxruntime-node|fastify)/`;

const layerRules = rooms.map((room, index) => ({
  name: `layers-${room}`,
  comment: `src/${room} may import only: ${rooms.slice(0, index).join(', ') || 'nothing'}`,
  severity: 'error',
  from: { path: `^src/${room}/`, pathNot: '\\.test\\.ts$' },
  to: { path: `^src/(${rooms.slice(index + 1).join('|') || '(?!)'})/` },
}));

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'runtime-and-checkpoint-apart',
      comment: 'runtime and checkpoint know tensor but not each other',
      severity: 'error',
      from: { path: '^src/(runtime|checkpoint)/', pathNot: '\\.test\\.ts$' },
      to: { path: '^src/(runtime|checkpoint)/', pathNot: '^src/$1/' },
    },
    {
      name: 'web-is-a-leaf',
      comment: 'nothing of src knows the studio',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^web/' },
    },
    {
      name: 'web-is-free-of-node',
      comment: 'the studio runs in browsers: what it imports may not reach Node',
      severity: 'error',
      from: { path: '^web/src/', pathNot: '\\.test\\.ts$' },
      to: { path: nodeOnly, reachable: true },
    },
    ...layerRules,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
