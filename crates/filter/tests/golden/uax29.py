"""Where uniseg 0.10.1 (Unicode 16) parts strings in which every value of Word_Break meets every other: `uax29.py >
uax29.jsonl`, a line of parts for each. Without an argument 2,500 strings; `uax29.py 100000` for more."""

import json
import random
import sys

from uniseg.wordbreak import words

LETTERS = (
    "a Z é \u05d0 \u05d1 ' \" . : , ; 1 2 \u0663 _ \u203f \u30ab \u3042 \u6f22 \u0301 \u200d \u00ad \u2060 \U0001f467 \u2764 \u24c2"
    " \ufe0f \U0001f1e9 \U0001f1eb \r \n \x0b \u2028 ! \u2019 \u00b7 \u00b8 - \u2003 \u3000 \ud55c \u0e01 \x1c \0"
).split(" ") + [" "]
draw = random.Random(5)
for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 2500):
    print(json.dumps(list(words("".join(draw.choices(LETTERS, k=draw.randint(1, 9)))))))
