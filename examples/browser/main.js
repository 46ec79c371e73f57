import { imageDataOf, Star } from 'starstack/browser';

const find = (selector) => document.querySelector(selector);
const [status, bar, canvas, cancel] = ['#status', 'progress', 'canvas', '#cancel'].map(find);
const say = (text, part = 1) => {
  status.textContent = text;
  bar.value = part;
};
const show = (image) => {
  Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext('2d').putImageData(imageDataOf(image), 0, 0);
};
let [star, picture, abort] = [];

async function draw(prompt, seed) {
  const { signal } = abort;
  for await (const event of star.generate.stream(prompt, { seed, preview: 'linear', signal })) {
    if (event.type === 'picture-progress') say('Drawing', event.doneTokens / event.totalTokens);
    if (event.type === 'preview-available') show(event.previews[0]);
    if (event.type === 'picture-end') [picture] = event.result.images;
  }
  show(picture);
  say(`Done on ${star.device.chosen}, seed ${picture.seed}`);
}

async function ask(question) {
  let answer = '';
  for await (const event of star.understand.stream(picture, question, { signal: abort.signal })) {
    if (event.type === 'token-delta') answer += event.text;
    say(answer);
  }
}

/** One thing at a time; its buttons are off while it runs. */
async function run(work) {
  abort = new AbortController();
  const buttons = [...document.querySelectorAll('form button')];
  for (const button of buttons) button.disabled = button !== cancel;
  try {
    await work();
  } catch (error) {
    say(error.message);
  }
  for (const button of buttons) button.disabled = button === cancel || (!picture && button.form.id === 'ask');
}

const onSubmit = (form, act) =>
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void run(() => act(Object.fromEntries(new FormData(form))));
  });
onSubmit(find('#draw'), ({ prompt, seed }) => draw(prompt, Number(seed)));
onSubmit(find('#ask'), ({ question }) => ask(question));
cancel.addEventListener('click', () => abort.abort());
const onProgress = ({ loadedBytes, totalBytes }) => say('Loading the model', loadedBytes / totalBytes);
star = await Star.load('models/nano/', { onProgress });
for (const button of document.querySelectorAll('#draw button')) button.disabled = button === cancel;
say(['Ready.', star.device.reason, ...star.warnings.map(({ message }) => message)].join(' '));
