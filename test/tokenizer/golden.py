"""Writes golden.json: what the Rust crate `tokenizers` (0.23.2) makes of odd strings and of odd token ids.

Usage: python golden.py > golden.json
"""

import json
import pathlib
import random

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
tokenizer = Tokenizer.from_file(
    str(HERE.parent / 'reference/tiny-a/checkpoints/Qwen2.5-VL-tiny-Instruct/tokenizer.json')
)
random.seed(7)

S = ["","a"," ","\n","\r\n"," \n","\n ","\n\n"," \n \n x","x \n\n  y","  lead","trail  ","tab\tx","\t\t","a\u00a0b","\u00a0\u00a0a","\u3000全角","don't DON'T Don'T","it'ſ it'ſa 'ſ","'S'T'RE'VE'M'LL'D","we'RE we'Ve","'","''s","'sx","\u2019s","1234567890","½ ² Ⅷ ٣ ४","x1y2","①②③","e\u0301 é","\u1100\u1161\u11a8 각","Å \u212b","\u0344 \u0958 \ufb1d","가나다 漢字 かな カナ","עברית عربي","हिन्दी ไทย","🍎🍏 👨‍👩‍👧‍👦 🇩🇪 ☺️","\U0001f9ff\U00020000\U0003134f","\ufeffbom","zero\u200bwidth\u200djoin","\u0000\u0001\u001f\u007f","\u0085 \u2028 \u2029","\x0b\x0c\x1c\x1d\x1e\x1f","\u180e","\u00ad","_ __ -- -=!?","a.b,c;d:e","!!!\n\n","!!!\r\n\r\n x"," !!! \n","http://x.y/z?q=1&r=%20","<|im_end|","<im_end>|","<| im_end |>","<|im_start|>user\nhi<|im_end|>","a<|image_pad|><|image_pad|>b"," <|fim_pad|> ","<|endoftext|>","<|ENDOFTEXT|>","\ufffd","\uf8ff","K \u212a s \u017f","ßSS","İı","ﬁ ﬀ ﬅ '\ufb05","'ﬅ","'ll'LL'lL","😀'd","\u0301'\u0301s","a\u0301\u0327 a\u0327\u0301","ǆ Ǆ","aaaaaaaaaaaaaaaaaaaaaaaa","  \n\n\n   \n","\r\r\n\n\r","x\r\ny\rz","\u2003em \u2009thin","\u1680ogham","\u205f\u202f"]
alpha = list("aAsStTrReEvVmMlLdD019 \n\r\t'.,!?-_<|>")+["ſ","\u0301","\u0327","é","ö","ß","图","像","가","\u1161","ا","١","½","🍎","\U0001f468","\u200d","\ufe0f","\u00a0","\u3000","\u2028","\u0085","\ufeff","\u180e","\u200b","K","İ","'","\u2019","ि","क","์","Ⅷ","²","\U00020000","\U0001e900","\U00010400"]
words = ["Generate an image of","the cat","<|im_start|>","<|im_end|>","<|vision_start|>","<|image_pad|>","don't","I'LL","umbrellas","  ","\n\n","café","naïve","Übung","東京","한국어","1,234.5","$5","...","\t","composition"]
def gen():
  r=random.random()
  if r<.5: return ''.join(random.choice(alpha) for _ in range(random.randint(1,14)))
  if r<.8: return ''.join(random.choice(words)+random.choice([""," ","\n","'s","!"]) for _ in range(random.randint(1,4)))
  out=''
  for _ in range(random.randint(1,8)):
    while True:
      c=random.choice([random.randint(0,0x2fff),random.randint(0x3000,0xffff),random.randint(0x10000,0x1ffff)])
      if not 0xd800<=c<=0xdfff: break
    out+=chr(c)
  return out
S=list(dict.fromkeys(S))


while len(S) < 520:
    S.append(gen())
encode = [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in dict.fromkeys(S)]
decode = []
for _ in range(60):
    ids = [
        random.randrange(tokenizer.get_vocab_size()) if random.random() < 0.5 else random.randrange(188, 256)
        for _ in range(random.randint(1, 10))
    ]
    decode.append([ids, *(tokenizer.decode(ids, skip_special_tokens=skip) for skip in (False, True))])
print(json.dumps({'encode': encode, 'decode': decode}, separators=(',', ':')))
