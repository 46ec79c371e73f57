/**
 * Scenes of the closed world a second: sampled, drawn with sprites at hand, and drawn the first time. Prints one JSON line.
 *
 *   npx tsx bench/world.ts [--profile nano|full] [--size 64] [--scenes 2000]
 */
import { parseArgs } from 'node:util';
import { loadAtlas } from '../src/data/world/atlas-files.ts';
import { fullWorld, nanoWorld } from '../src/data/world/profile.ts';
import { renderScene } from '../src/data/world/render.ts';
import { sampleScene } from '../src/data/world/sample.ts';

const { values } = parseArgs({
  options: {
    profile: { type: 'string', default: 'nano' },
    size: { type: 'string', default: '64' },
    scenes: { type: 'string', default: '2000' },
  },
});
const profile = [nanoWorld, fullWorld].find(({ name }) => name === values.profile);
if (profile === undefined) throw new Error(`no profile '${values.profile}'; there are nano and full`);
const [size, count] = [Number(values.size), Number(values.scenes)];
const atlas = await loadAtlas(profile.styles);

function perSecond(run: () => void): number {
  const start = performance.now();
  run();
  return Math.round((count / (performance.now() - start)) * 1000);
}

const scenes = Array.from({ length: count }, (_, index) => sampleScene(1, index, profile));
const draw = () => {
  for (const scene of scenes) renderScene(scene, atlas, size);
};
const firstTime = perSecond(draw);
const cached = perSecond(draw);
const sampled = perSecond(() => {
  for (let index = 0; index < count; index++) sampleScene(2, index, profile);
});
console.log(
  JSON.stringify({
    profile: profile.name,
    size,
    scenes: count,
    sampled_per_s: sampled,
    drawn_per_s: cached,
    drawn_first_time_per_s: firstTime,
  }),
);
