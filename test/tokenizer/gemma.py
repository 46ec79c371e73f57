"""Writes gemma.json: a small tokenizer in Gemma's form, and what the Rust crate `tokenizers` (0.23.2) makes of odd strings
with it; and cut and padded texts, with it and with the tokenizer of test/reference.

Its merges are drawn at random over a few characters that make up most of the texts, so that nearly any other order of
merging gives other ids.

Usage: python gemma.py > gemma.json
"""

import json
import pathlib
import random

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
random.seed(11)

special = ['<pad>', '<eos>', '<bos>', '<unk>']
added = ['<mask>', '<start_of_turn>', '\n\n', '\n\n\n', '\u2581\u2581', '<b>', '<bb>']
merged = ['a', 'b', 'P', '\u2581', '\n', '\xe9', '\U0001f34e']
characters = merged + list('cdeAB019.,!?-\'"<>|romtSg') + ['\t', '\u0301', '\u56fe']
vocabulary = special + added + [f'<0x{byte:02X}>' for byte in range(256)] + characters
tokens = list(merged)
merges = []
while len(merges) < 300:
    pair = [random.choice(tokens), random.choice(tokens)]
    joined = ''.join(pair)
    if len(joined) <= 5 and joined not in vocabulary:
        merges.append(pair)
        vocabulary.append(joined)
        tokens.append(joined)

description = {
    'version': '1.0',
    'truncation': None,
    'padding': None,
    'added_tokens': [
        {
            'id': vocabulary.index(content),
            'content': content,
            'single_word': False,
            'lstrip': False,
            'rstrip': False,
            'normalized': False,
            'special': content in special,
        }
        for content in special + added
    ],
    'normalizer': {'type': 'Replace', 'pattern': {'String': ' '}, 'content': '\u2581'},
    'pre_tokenizer': {
        'type': 'Split',
        'pattern': {'String': ' '},
        'behavior': 'MergedWithPrevious',
        'invert': False,
    },
    'post_processor': {
        'type': 'TemplateProcessing',
        'single': [{'SpecialToken': {'id': '<bos>', 'type_id': 0}}, {'Sequence': {'id': 'A', 'type_id': 0}}],
        'pair': [
            {'SpecialToken': {'id': '<bos>', 'type_id': 0}},
            {'Sequence': {'id': 'A', 'type_id': 0}},
            {'SpecialToken': {'id': '<bos>', 'type_id': 1}},
            {'Sequence': {'id': 'B', 'type_id': 1}},
        ],
        'special_tokens': {'<bos>': {'id': '<bos>', 'ids': [2], 'tokens': ['<bos>']}},
    },
    'decoder': {
        'type': 'Sequence',
        'decoders': [
            {'type': 'Replace', 'pattern': {'String': '\u2581'}, 'content': ' '},
            {'type': 'ByteFallback'},
            {'type': 'Fuse'},
        ],
    },
    'model': {
        'type': 'BPE',
        'dropout': None,
        'unk_token': '<unk>',
        'continuing_subword_prefix': None,
        'end_of_word_suffix': None,
        'fuse_unk': True,
        'byte_fallback': True,
        'ignore_merges': False,
        'vocab': {token: id for id, token in enumerate(vocabulary)},
        'merges': merges,
    },
}
tokenizer = Tokenizer.from_str(json.dumps(description))
tiny = Tokenizer.from_file(str(HERE.parent / 'reference/tiny-a/checkpoints/lumina-image2-tiny/tokenizer/tokenizer.json'))

texts = [
    '', ' ', '  ', '\n', '\n\n', '\n\n\n\n\n', ' a', 'a ', 'a  b', '\u2581', '\u2581\u2581 \u2581', '\t\t', '\r\n', '\x00',
    'e\u0301 \xe9', '\u6771\u4eac \u56fe', '\U0001f34e\U0001f34f', '\ufffd', '<bos>a<eos>', '<b><bb><bbb>', '<mask', '<|im_end|>',
    '<start_of_turn>', 'System. <Prompt Start> Prompt', '__proto__', 'constructor', '<0x41>', 'aaaaaaaaaaaaaaaaaaaaaaaaa',
]
pieces = [*merged, ' '] * 20 + characters + [*added, 'z', '\xfc', '\u0416', '\U0001f34f', '\u3000']


def text():
    return ''.join(random.choice(pieces) for _ in range(random.randint(1, 40)))


texts = list(dict.fromkeys(texts + [text() for _ in range(250)]))


def fitted(with_tokenizer, pad, text, length):
    with_tokenizer.enable_truncation(length)
    with_tokenizer.enable_padding(length=length, pad_id=with_tokenizer.token_to_id(pad), pad_token=pad)
    encoding = with_tokenizer.encode(text)
    return [text, length, encoding.ids, encoding.attention_mask]


encoded = [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in texts]
cases = [(text, length) for text in ('', 'a tag, a PromptB', 'A photo of a cat') for length in (1, 2, 6, 30)]
golden = {
    'tokenizer': description,
    'encoded': encoded,
    'fitted': [fitted(tokenizer, '<pad>', *case) for case in cases],
    'tiny': [fitted(tiny, '<|endoftext|>', *case) for case in cases],
}
print(json.dumps(golden, separators=(',', ':')))
