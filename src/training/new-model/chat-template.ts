/** Qwen2.5-VL's chat template for text and pictures: ChatML, with a system turn where the conversation brings none. */
export const chatTemplate = [
  "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n",
  'You are a helpful assistant.<|im_end|>\n',
  "{% endif %}<|im_start|>{{ message['role'] }}\n",
  "{% if message['content'] is string %}{{ message['content'] }}{% else %}",
  "{% for part in message['content'] %}",
  "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>",
  "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}",
  '{% endfor %}{% endif %}<|im_end|>\n',
  '{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n',
  '{% endif %}',
].join('');
