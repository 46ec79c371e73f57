/** The Chromium that browser tests run in. */
import { existsSync } from 'node:fs';

/** Where Debian, other distributions and macOS have Chromium or Chrome. */
const places = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
].filter((place) => place !== undefined);

/** Its program; undefined where there is none. */
export const chromiumPath = places.find((place) => existsSync(place));

/** Why tests are skipped; undefined where there is one. */
export const noChromium =
  chromiumPath === undefined ? `needs Chromium: none of ${places.join(', ')} is there` : undefined;

/** A suite's name with the reason for which it is skipped, if it is. */
export function named(suite: string): string {
  return noChromium === undefined ? suite : `${suite} (${noChromium})`;
}
