import { describe, expect, it } from 'vitest';
import { referencePath } from '../../../test/reference-vectors.ts';
import { type ChatMessage, encodeChat } from '../../models/qwen25vl/chat.ts';
import { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { type PackedRow, packRow } from '../packed-rows.ts';
import { compileLoss } from '../stage.ts';
import { UnderstandingBatch, understandingStage } from '../understanding-loss.ts';
import { type Dialogue, encodeDialogue, packDialogues } from './dialogues.ts';
import { drawnPicture } from './drawn-picture.ts';

const talk = (...texts: string[]): ChatMessage[] =>
  texts.map((content, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content }));
const pets = talk(
  'How many cats are there?',
  'Two.',
  'And <|im_end|> dogs?',
  'None at all.',
  'Why?',
  "It's a cat's room.",
);
const plums = talk('Is it a plum?', 'Yes.', 'Is it ripe?', 'No, it is green.');

describe('dialogues', async () => {
  const model = await StarModel.open(referencePath('tiny-a', '.'), { device: 'cpu', threads: 1 });
  const { chat } = model;
  const { qwen } = model.folder;
  const { grid, tokens: pictureTokens } = drawnPicture(model);
  const shown: ChatMessage[] = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: [{ type: 'image' }, { type: 'text', text: 'What is it?' }] },
    ...pets.slice(1),
  ];

  it.each([
    ['without a picture', pets, []],
    ['with a picture and a system message', shown, [pictureTokens]],
  ] as const)('have the prompts of the chat template, %s', (_, messages, pictures) => {
    const dialogue = encodeDialogue(chat, messages, pictureTokens);
    expect(dialogue).toHaveLength(3);
    dialogue.forEach(({ prompt, answer }, turn) => {
      const place = messages.length - 5 + 2 * turn;
      expect(prompt, `turn ${turn}`).toEqual(encodeChat(chat, messages.slice(0, place), pictures));
      const end = chat.tokenizer.idOf('<|im_end|>');
      expect(answer).toEqual([...chat.tokenizer.encodeOrdinary(messages[place]!.content as string), end]);
    });
  });

  it('of one turn each are packed as conversations are', () => {
    const [one, other] = [pets, plums].map((messages) => encodeDialogue(chat, messages.slice(0, 2), pictureTokens));
    expect(packDialogues([one!, other!])).toEqual(packRow([one![0]!, other![0]!]));
  });

  it('in one row give the loss that their turns give, each alone in a row', async () => {
    const image = { width: 24, height: 24, data: Uint8Array.from({ length: 3 * 24 ** 2 }, (_, at) => (at * 7) % 256) };
    const loss = async (rows: readonly PackedRow[], picture: boolean) => {
      const tokens = Math.max(...rows.map(({ ids }) => ids.length)) + 2;
      const shapes = { rows: rows.length, tokens, pictures: picture ? rows.length : 1, grid };
      const program = compileLoss(understandingStage(qwen, shapes), model.weights.declare, { gradients: [] });
      await using session = await model.runtime.load(program, { weightsFolder: model.weights.folder });
      const batch = new UnderstandingBatch(qwen, model.imageProcessor, shapes);
      const feeds = batch.feeds(rows.map((row) => (picture ? { row, image } : { row })));
      const { loss } = (await session.run(feeds)) as Record<string, TensorValue>;
      return (loss!.data as Float32Array)[0]!;
    };
    const cases: [Dialogue[], boolean][] = [
      [[encodeDialogue(chat, pets, 0), encodeDialogue(chat, plums, 0)], false],
      [[encodeDialogue(chat, shown, pictureTokens)], true],
    ];
    for (const [dialogues, picture] of cases) {
      const packed = await loss([packDialogues(dialogues)], picture);
      const alone = await loss(
        dialogues.flat().map((turn) => packRow([turn])),
        picture,
      );
      expect(packed).toBeCloseTo(alone, 5);
    }
    await model.dispose();
  });
});
