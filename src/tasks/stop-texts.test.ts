import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StopTexts } from './stop-texts.ts';

/** What is shown of an answer that comes in pieces. */
function shown(pieces: readonly string[], stops: readonly string[]): string {
  const watch = new StopTexts(stops);
  return pieces.map((piece) => watch.push(piece)).join('') + watch.flush();
}

test('an answer ends before the first stop, however it is cut into pieces', () => {
  const letters = (maxLength: number) => fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength });
  fc.assert(
    fc.property(fc.array(letters(3), { maxLength: 12 }), fc.array(letters(4), { maxLength: 3 }), (pieces, stops) => {
      // Pieces end where tokens do: what was drawn when the stop was complete is all that counts.
      const whole = pieces.join('');
      const ends = stops.map((stop) => whole.indexOf(stop) + stop.length).filter((_, i) => whole.includes(stops[i]!));
      let drawn = 0;
      for (const piece of pieces) {
        drawn += piece.length;
        if (ends.some((end) => end <= drawn)) break;
      }
      const starts = stops.map((stop) => whole.slice(0, drawn).indexOf(stop)).filter((start) => start >= 0);
      expect(shown(pieces, stops)).toBe(whole.slice(0, Math.min(whole.length, ...starts)));
    }),
  );
});

test('holds back no more than may be a stop', () => {
  const watch = new StopTexts(['\n\n', '###']);
  const shown = ['red#', '#1\n', ' and\n', '\nmore', 'more'].map((piece) => watch.push(piece));
  expect(shown).toEqual(['red', '##1', '\n and', '', '']);
  expect([watch.met, watch.flush()]).toEqual([true, '']);
});
