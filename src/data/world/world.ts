/** A world to draw scenes from: a profile and the sprites that it needs. */
import type { RgbImage } from '../../image/rgb-image.ts';
import type { Atlas } from './atlas.ts';
import { loadAtlas } from './atlas-files.ts';
import type { WorldProfile } from './profile.ts';
import { renderScene } from './render.ts';
import { type SampleOptions, sampleScene } from './sample.ts';
import type { Scene } from './scene.ts';

export class World {
  readonly profile: WorldProfile;
  readonly atlas: Atlas;

  constructor(profile: WorldProfile, atlas: Atlas) {
    this.profile = profile;
    this.atlas = atlas;
  }

  /** Throws `DataError` when the sprites cannot be read. */
  static async open(profile: WorldProfile): Promise<World> {
    return new World(profile, await loadAtlas(profile.styles));
  }

  /** Scene number `index` of a seed; `heldOut` as in `sampleScene`. */
  scene(seed: number, index: number, heldOut: NonNullable<SampleOptions['heldOut']>): Scene {
    return sampleScene(seed, index, this.profile, { heldOut });
  }

  /** A scene as `size` x `size` pixels. */
  render(scene: Scene, size: number): RgbImage {
    return renderScene(scene, this.atlas, size);
  }
}
