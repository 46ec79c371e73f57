/** Opens a page in the browser of whoever sits at this computer. */
import { spawn } from 'node:child_process';

/** The system's own way, or undefined where nobody could see a page. */
function opener(url: string): readonly [string, ...string[]] | undefined {
  if (process.platform === 'darwin') return ['open', url];
  // `start` is a word of the shell; the first quoted one would be the window's title.
  if (process.platform === 'win32') return ['cmd', '/c', 'start', '', url];
  const { DISPLAY, WAYLAND_DISPLAY } = process.env;
  return DISPLAY || WAYLAND_DISPLAY ? ['xdg-open', url] : undefined;
}

/** Does nothing where there is no display; a browser that cannot be started is no fault: the address is printed as well. */
export function openInBrowser(url: string): void {
  const command = opener(url);
  if (command === undefined) return;
  const [program, ...words] = command;
  const child = spawn(program, words, { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}
