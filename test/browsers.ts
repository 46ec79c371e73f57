/** The browsers that tests run in: where they are, and why tests are skipped without one. */
import { existsSync } from 'node:fs';

export interface BrowserProgram {
  /** Undefined where there is none. */
  readonly path: string | undefined;
  /** Why tests are skipped; undefined where there is one. */
  readonly missing: string | undefined;
}

/** @param variable of the environment, which names the program before all places */
function program(name: string, variable: string, places: readonly string[]): BrowserProgram {
  const given = process.env[variable];
  const all = given ? [given] : places;
  const path = all.find((place) => existsSync(place));
  return { path, missing: path === undefined ? `needs ${name}: none of ${all.join(', ')} is there` : undefined };
}

const chromium = program('Chromium', 'CHROMIUM_PATH', [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]);
export const chromiumPath = chromium.path;
export const noChromium = chromium.missing;

export const firefox = program('Firefox', 'FIREFOX_PATH', [
  '/usr/bin/firefox-esr',
  '/usr/bin/firefox',
  '/Applications/Firefox.app/Contents/MacOS/firefox',
]);

const xvfb = program('xvfb-run', 'XVFB_RUN_PATH', ['/usr/bin/xvfb-run']);
const webkit = program('WebKitGTK’s MiniBrowser', 'MINIBROWSER_PATH', [
  '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser',
  '/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1/MiniBrowser',
]);

/** WebKit's own small browser, which Safari shares its engine with, and what gives it a display: it has no way without a window. */
export const miniBrowser = { ...webkit, display: xvfb.path, missing: webkit.missing ?? xvfb.missing };

/** A suite's name with the reason for which it is skipped, if it is. */
export function named(suite: string): string {
  return noChromium === undefined ? suite : `${suite} (${noChromium})`;
}
