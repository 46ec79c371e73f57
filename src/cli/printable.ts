/**
 * Text of a model or a stranger's file as a stream may show it. On a terminal control characters, which could move the
 * cursor or rename the window, are shown as `\x1b`; tabs and line ends stay. Files and pipes get the text as it is.
 */
export function printable(text: string, stream: { readonly isTTY?: boolean }): string {
  if (!stream.isTTY) return text;
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (character) =>
    character === '\n' || character === '\t'
      ? character
      : `\\x${character.codePointAt(0)!.toString(16).padStart(2, '0')}`,
  );
}
