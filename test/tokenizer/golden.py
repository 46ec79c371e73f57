"""Writes golden.json: what the Rust crate `tokenizers` (0.23.2) makes of odd strings and of odd token ids.

`tiny` is the tokenizer of test/reference. It has few merges, so most borders between words leave no trace in its ids;
`pairs` has the same rules and a merge for every pair of bytes, so that nearly any other border gives other ids.

Usage: python golden.py > golden.json
"""

import json
import pathlib
import random
import unicodedata

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
tokenizer = Tokenizer.from_file(
    str(HERE.parent / 'reference/tiny-a/checkpoints/Qwen2.5-VL-tiny-Instruct/tokenizer.json')
)
random.seed(7)

texts = [
    '', 'a', ' ', '\n', '\r\n', ' \n', '\n ', '\n\n', ' \n \n x', 'x \n\n  y', '  lead', 'trail  ', 'tab\tx', '\t\t',
    'a\xa0b', '\xa0\xa0a', '\u3000\u5168\u89d2', "don't DON'T Don'T", "it'\u017f it'\u017fa '\u017f",
    "'S'T'RE'VE'M'LL'D", "we'RE we'Ve", "'", "''s", "'sx", '\u2019s', '1234567890', '\xbd \xb2 \u2167 \u0663 \u096a',
    'x1y2', '\u2460\u2461\u2462', 'e\u0301 \xe9', '\u1100\u1161\u11a8 \uac01', '\xc5 \u212b', '\u0344 \u0958 \ufb1d',
    '\uac00\ub098\ub2e4 \u6f22\u5b57 \u304b\u306a \u30ab\u30ca',
    '\u05e2\u05d1\u05e8\u05d9\u05ea \u0639\u0631\u0628\u064a',
    '\u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22',
    '\U0001f34e\U0001f34f \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea \u263a\ufe0f',
    '\U0001f9ff\U00020000\U0003134f', '\ufeffbom', 'zero\u200bwidth\u200djoin', '\x00\x01\x1f\x7f',
    '\x85 \u2028 \u2029', '\x0b\x0c\x1c\x1d\x1e\x1f', '\u180e', '\xad', '_ __ -- -=!?', 'a.b,c;d:e', '!!!\n\n',
    '!!!\r\n\r\n x', ' !!! \n', 'http://x.y/z?q=1&r=%20', '<|im_end|', '<im_end>|', '<| im_end |>',
    '<|im_start|>user\nhi<|im_end|>', 'a<|image_pad|><|image_pad|>b', ' <|fim_pad|> ', '<|endoftext|>',
    '<|ENDOFTEXT|>', '\ufffd', '\uf8ff', 'K \u212a s \u017f', '\xdfSS', '\u0130\u0131',
    "\ufb01 \ufb00 \ufb05 '\ufb05", "'\ufb05", "'ll'LL'lL", "\U0001f600'd", "\u0301'\u0301s",
    'a\u0301\u0327 a\u0327\u0301', '\u01c6 \u01c4', 'aaaaaaaaaaaaaaaaaaaaaaaa', '  \n\n\n   \n', '\r\r\n\n\r',
    'x\r\ny\rz', '\u2003em \u2009thin', '\u1680ogham', '\u205f\u202f',
]
letters_and_marks = [
    'a', 'A', 's', 'S', 't', 'T', 'r', 'R', 'e', 'E', 'v', 'V', 'm', 'M', 'l', 'L', 'd', 'D', '0', '1', '9', ' ',
    '\n', '\r', '\t', "'", '.', ',', '!', '?', '-', '_', '<', '|', '>', '\u017f', '\u0301', '\u0327', '\xe9', '\xf6',
    '\xdf', '\u56fe', '\u50cf', '\uac00', '\u1161', '\u0627', '\u0661', '\xbd', '\U0001f34e', '\U0001f468', '\u200d',
    '\ufe0f', '\xa0', '\u3000', '\u2028', '\x85', '\ufeff', '\u180e', '\u200b', 'K', '\u0130', "'", '\u2019',
    '\u093f', '\u0915', '\u0e4c', '\u2167', '\xb2', '\U00020000', '\U0001e900', '\U00010400',
]
phrases = [
    'Generate an image of', 'the cat', '<|im_start|>', '<|im_end|>', '<|vision_start|>', '<|image_pad|>', "don't",
    "I'LL", 'umbrellas', '  ', '\n\n', 'caf\xe9', 'na\xefve', '\xdcbung', '\u6771\u4eac', '\ud55c\uad6d\uc5b4',
    '1,234.5', '$5', '...', '\t', 'composition',
]


def unusual_character():
    while True:
        code = random.choice(
            [random.randint(0, 0x2FFF), random.randint(0x3000, 0xFFFF), random.randint(0x10000, 0x1FFFF)]
        )
        # What is unassigned may become a letter in a later Unicode.
        if unicodedata.category(chr(code)) not in ('Cs', 'Cn'):
            return chr(code)


def unusual_text():
    kind = random.random()
    if kind < 0.5:
        return ''.join(random.choice(letters_and_marks) for _ in range(random.randint(1, 14)))
    if kind < 0.8:
        endings = ['', ' ', '\n', "'s", '!']
        return ''.join(random.choice(phrases) + random.choice(endings) for _ in range(random.randint(1, 4)))
    return ''.join(unusual_character() for _ in range(random.randint(1, 8)))


tiny_texts = list(dict.fromkeys(texts + [unusual_text() for _ in range(60)]))
pairs_texts = list(dict.fromkeys(texts + [unusual_text() for _ in range(320)]))

description = json.loads(tokenizer.to_str())
letters = [token for token, id in sorted(description['model']['vocab'].items(), key=lambda item: item[1]) if id < 256]
pairs = [[first, second] for first in letters for second in letters]
description['model']['vocab'] = {token: id for id, token in enumerate(letters + [a + b for a, b in pairs])}
description['model']['merges'] = pairs
description['added_tokens'] = []
pairs_tokenizer = Tokenizer.from_str(json.dumps(description))


def encoded(with_tokenizer, texts):
    return [[text, with_tokenizer.encode(text, add_special_tokens=False).ids] for text in texts]


decode = []
for _ in range(50):
    ids = [
        random.randrange(tokenizer.get_vocab_size()) if random.random() < 0.5 else random.randrange(188, 256)
        for _ in range(random.randint(1, 10))
    ]
    decode.append([ids, *(tokenizer.decode(ids, skip_special_tokens=skip) for skip in (False, True))])
golden = {'tiny': encoded(tokenizer, tiny_texts), 'pairs': encoded(pairs_tokenizer, pairs_texts), 'decode': decode}
print(json.dumps(golden, separators=(',', ':')))
