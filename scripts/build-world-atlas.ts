/**
 * Draws every sprite of the closed world into `assets/world/`: a PNG sheet a style and an index; then notes each sprite's
 * own colour in `src/data/world/own-colours.ts`. The emoji come from the
 * @iconify-json packages (development dependencies); what is written here is all that runs need.
 *
 *   npx tsx scripts/build-world-atlas.ts
 *
 * A sprite is cut to what is visible and scaled so that its longer side spans the cell but for a margin, which the outline of
 * black and white objects needs.
 */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import sharp from 'sharp';
import { loadAtlas } from '../src/data/world/atlas-files.ts';
import { type Colour, type Style, styles } from '../src/data/world/scene.ts';
import { nearestColour, worldClasses } from '../src/data/world/vocabulary.ts';

const cell = 128;
const margin = 4;
const columns = 12;
/** Drawn larger first, so that cutting and scaling keeps edges smooth. */
const drawn = 512;

const packages: Readonly<Record<Style, string>> = {
  noto: '@iconify-json/noto',
  twemoji: '@iconify-json/twemoji',
  fluent: '@iconify-json/fluent-emoji-flat',
  openmoji: '@iconify-json/openmoji',
};

interface Icon {
  readonly body: string;
  readonly width?: number;
  readonly height?: number;
}

interface IconSet {
  readonly icons: Readonly<Record<string, Icon>>;
  readonly aliases?: Readonly<Record<string, { readonly parent: string }>>;
  readonly width?: number;
  readonly height?: number;
}

const require = createRequire(import.meta.url);

function readJson<T>(specifier: string): T {
  return JSON.parse(readFileSync(require.resolve(specifier), 'utf8')) as T;
}

function svgOf(set: IconSet, name: string): string {
  const icon = set.icons[set.aliases?.[name]?.parent ?? name];
  if (icon === undefined) throw new Error(`no icon ${name}`);
  const [width, height] = [icon.width ?? set.width ?? 16, icon.height ?? set.height ?? 16];
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${drawn}" height="${drawn}" viewBox="0 0 ${width} ${height}">${icon.body}</svg>`;
}

async function drawSprite(svg: string): Promise<Buffer> {
  const inner = cell - 2 * margin;
  const tight = await sharp(Buffer.from(svg)).trim({ background: '#00000000', threshold: 8 }).png().toBuffer();
  return sharp(tight)
    .resize(inner, inner, { fit: 'contain', background: '#00000000' })
    .extend({ top: margin, bottom: margin, left: margin, right: margin, background: '#00000000' })
    .png()
    .toBuffer();
}

const sprites = [...new Set(worldClasses.flatMap((worldClass) => worldClass.sprites))];
const folder = new URL('../assets/world/', import.meta.url);
await mkdir(folder, { recursive: true });
for (const style of styles) {
  const names = readJson<Record<string, string>>(`${packages[style]}/chars.json`);
  const set = readJson<IconSet>(`${packages[style]}/icons.json`);
  const tiles = await Promise.all(
    sprites.map(async (sprite, i) => {
      const name = names[sprite];
      if (name === undefined) throw new Error(`${style} has no ${sprite}`);
      return {
        input: await drawSprite(svgOf(set, name)),
        left: (i % columns) * cell,
        top: Math.floor(i / columns) * cell,
      };
    }),
  );
  const height = Math.ceil(sprites.length / columns) * cell;
  const sheet = sharp({ create: { width: columns * cell, height, channels: 4, background: '#00000000' } });
  const png = await sheet.composite(tiles).png({ compressionLevel: 9, adaptiveFiltering: true }).toBuffer();
  await writeFile(new URL(`${style}.png`, folder), png);
  console.log(`${style}: ${sprites.length} sprites, ${png.length} bytes`);
}
const index = `{
  "cell": ${cell},
  "margin": ${margin},
  "columns": ${columns},
  "styles": [${styles.map((style) => JSON.stringify(style)).join(', ')}],
  "sprites": [
${sprites.map((sprite) => `    ${JSON.stringify(sprite)}`).join(',\n')}
  ]
}
`;
await writeFile(new URL('atlas.json', folder), index);

/** The colour nearest to most pixels. */
function ownColour(pixels: Uint8Array): Colour {
  const votes = new Map<Colour, number>();
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at + 3]! < 128) continue;
    const colour = nearestColour([pixels[at]!, pixels[at + 1]!, pixels[at + 2]!]);
    votes.set(colour, (votes.get(colour) ?? 0) + 1);
  }
  return [...votes].sort((a, b) => b[1] - a[1])[0]![0];
}

const atlas = await loadAtlas();
const table = sprites.map((sprite) =>
  [sprite, ...styles.map((style) => ownColour(atlas.pixels(style, sprite)))].join(' '),
);
await writeFile(
  new URL('../src/data/world/own-colours.ts', import.meta.url),
  `/** The colour that most of a sprite has by nature. The table is written by \`scripts/build-world-atlas.ts\`. */
import { type Colour, type Style, styles } from './scene.ts';

/** Sprite, then its colour in each of \`styles\`. */
const table = \`
${table.join('\n')}
\`;

const bySprite = new Map(
  table
    .trim()
    .split('\\n')
    .map((line) => line.split(' '))
    .map(([sprite, ...own]) => [sprite, own as Colour[]]),
);

/** Of the ten colours the one nearest to most of the sprite's pixels; \`undefined\` for a sprite that the world lacks. */
export function ownColourOf(style: Style, sprite: string): Colour | undefined {
  return bySprite.get(sprite)?.[styles.indexOf(style)];
}
`,
);
