import { describe, expect, it } from 'vitest';
import { referencePath } from '../../../test/reference-vectors.ts';
import { encodeChat } from '../../models/qwen25vl/chat.ts';
import { loadChatFormat, loadTokenizer } from '../../models/qwen25vl/folder.ts';
import { ConversationTokens } from './conversation-tokens.ts';

describe('ConversationTokens', async () => {
  const folder = referencePath('tiny-a', 'checkpoints/Qwen2.5-VL-tiny-Instruct');
  const format = await loadChatFormat(folder, await loadTokenizer(folder));
  const tokens = new ConversationTokens(format, 4);
  const question = 'How many apples are there?';

  it('encodes as the chat template does, without and with a picture', () => {
    const text = { type: 'text', text: question } as const;
    const plain = tokens.encode({ kind: 'count', question, answer: 'two' }, 'text');
    expect(plain.prompt).toEqual(encodeChat(format, [{ role: 'user', content: question }]));
    expect(plain.answer).toEqual([...format.tokenizer.encodeOrdinary('two'), format.tokenizer.idOf('<|im_end|>')]);
    const shown = tokens.encode({ kind: 'count', question, answer: 'two' }, 'picture');
    expect(shown.prompt).toEqual(encodeChat(format, [{ role: 'user', content: [{ type: 'image' }, text] }], [4]));
  });

  it('says the places of a picture where the picture would begin, a token each', () => {
    const [a, b] = [' a', ' an'].map((word) => format.tokenizer.encodeOrdinary(word)) as [number[], number[]];
    expect([a.length, b.length]).toEqual([1, 1]);
    const { prompt, answer } = tokens.encode({ kind: 'cells', question, answer: { cells: ['a', 'an', 'a'] } }, 'text');
    expect(prompt.at(-1)).toBe(format.tokenizer.idOf('<|vision_start|>'));
    expect(answer).toEqual([...a, ...b, ...a, format.tokenizer.idOf('<|vision_end|>')]);
    const odd = { kind: 'cells', question, answer: { cells: ['zzqxj'] } } as const;
    expect(() => tokens.encode(odd, 'text')).toThrow(/takes \d tokens for ' zzqxj', expected 1/);
  });
});
