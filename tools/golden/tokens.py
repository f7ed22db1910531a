#!/usr/bin/env python3
"""Writes tests/golden/tokens.txt: texts and their ids by HuggingFace tokenizers, from the vocabulary of the GGUF itself.

Needs: pip install gguf tokenizers. Usage: tokens.py [MODEL.gguf]
"""
import os
import random
import sys
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CACHE = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
MODEL = sys.argv[1] if len(sys.argv) > 1 else CACHE + "/gyre/SmolLM2-135M-Instruct-Q4_1.gguf"
CONTROL = 3


def reference(path, special=True):
    field = {k: f for k, f in GGUFReader(path).fields.items() if k.startswith("tokenizer.ggml")}
    token = field["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in field["tokenizer.ggml.merges"].contents()]
    t = Tokenizer(models.BPE(vocab={s: i for i, s in enumerate(token)}, merges=merges))
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.decoder = decoders.ByteLevel()
    types = field["tokenizer.ggml.token_type"].contents()
    if special:
        t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s, k in zip(token, types) if k == CONTROL])
    return t


TEXTS = [
    "", " ", "  ", "   x", "\n", "\n\n\n x", "\t\t\tx", "a  b   c    d", "trailing   ", "\r\n\r\n", "x\u00a0y", "x\u3000\u3000y", "\u2003\u2009z", "\u180e \u180ea",
    "\u0085\u0085 a", "\u200b\u200d x", "\x00\x01\x02\x1b[31m\x7f", "Hello, world!", "I'm you're he'll WE'VE they'd it's 's 'S",
    "1234567890", "3.14159e-10", "x1y2z3", "Ⅷ½²③ ٣٤ १२", "2024-01-31T23:59:59Z", "int main(void)\n{\n\treturn 0;\n}\n",
    "def f(x):\n    return x ** 2  # square\n", "<|im_start|>user\nhi<|im_end|>\n", "a<|endoftext|>b <|endoftext|> c", "<|im_start|", "<<|im_end|>>",
    "<repo_name>x<file_sep>y<jupyter_code>", "Grüße aus Köln", "café cafe\u0301 naïve", "Ελληνικά κείμενα", "Привет, мир!", "שלום עולם", "مرحبا بالعالم",
    "नमस्ते दुनिया", "ภาษาไทย", "ქართული", "Հայերեն", "አማርኛ", "বাংলা", "தமிழ்", "తెలుగు", "မြန်မာ", "ខ្មែរ", "ລາວ", "བོད་ཡིག", "ᠮᠣᠩᠭᠣᠯ", "日本語のテキスト、です。", "汉字繁體",
    "한국어 텍스트", "ᏣᎳᎩ", "𐌰𐌱𐌲", "𓀀𓂀", "😀😃", "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇩🇪", "a\ufe0fb\u20e3", "\ufeffBOM", "\ufffd", "\U0010ffff\ue000", "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋", "$€£¥ ©®™ «»“”‘’…—",
    "https://example.com/a?b=c&d=%20#e", "user@example.com", "e" * 300, "ab" * 200, " " * 300 + "x", "\n" * 100, "!?" * 100, "9" * 50, "é" * 100,
]


def mixtures(n):
    r = random.Random(1)
    pool = [c for s in TEXTS for c in s[:40]] + [" "] * 60 + ["\n"] * 10 + ["'"] * 10
    words = "the of and to in is that for it was Paris tokenization unbelievable Ġ don't".split()
    for _ in range(n):
        yield "".join(r.choice(pool) if r.random() < 0.6 else r.choice(words) for _ in range(r.randrange(1, 40)))


def main():
    t = reference(MODEL)
    with open(os.path.join(os.path.dirname(__file__), "../../tests/golden/tokens.txt"), "w") as f:
        for s in [*TEXTS, *mixtures(300)]:
            e = t.encode(s, add_special_tokens=False)
            if t.decode(e.ids, skip_special_tokens=False) != s:
                continue  # a byte this vocabulary has no token for: the reference drops it, gyre refuses the text
            print(s.encode().hex() or "-", *e.ids, file=f)


if __name__ == "__main__":
    main()
