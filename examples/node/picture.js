/** Draws a picture, changes it, and asks about it: `node picture.js [PROMPT] [INSTRUCTION] [QUESTION]`. */
import { Star } from 'starstack';

const [
  prompt = 'a photo of two red apples',
  instruction = 'make the apples green',
  question = 'What color are the apples?',
] = process.argv.slice(2);

/** Tells how far a picture is; gives it when it is done. */
async function follow(name, events) {
  for await (const event of events) {
    if (event.type === 'reasoning-end') console.error(`${name}: thought of ${event.thought}`);
    if (event.type === 'picture-progress') {
      console.error(`${name}: ${Math.round((100 * event.doneTokens) / event.totalTokens)} %`);
    }
    if (event.type === 'picture-end') return event.result.images[0];
  }
}

const star = await Star.load('nano'); // or a folder in the published layout
try {
  const picture = await follow('drawing', star.generate.stream(prompt, { seed: 1 }));
  await picture.save('picture.png'); // prompt, seed and settings travel inside the PNG
  const edited = await follow('editing', star.edit.stream(picture, instruction, { seed: 1 }));
  await edited.save('edited.png');
  const { answer } = await star.understand(edited, question, { temperature: 0 });
  console.log(answer.trim());
} finally {
  await star.dispose(); // in TypeScript, or with Node 24: `await using star = …`
}
