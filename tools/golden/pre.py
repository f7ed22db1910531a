#!/usr/bin/env python3
"""Writes tests/golden/pre.txt: texts, and for each pre-tokenizer the pieces they fall into, by HuggingFace tokenizers.

Patterns are written as the models' own tokenizer.json writes them. Needs: pip install tokenizers. Usage: pre.py
"""
import os
import random
from tokenizers import Regex, pre_tokenizers as p

OUT = os.path.join(os.path.dirname(__file__), "../../tests/golden/pre.txt")
C = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s+(?!\S)|\s+"
DIGIT = p.Digits(individual_digits=True)
BYTES = p.ByteLevel(add_prefix_space=False, use_regex=False)
GPT2 = p.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|" + TAIL), "isolated")


def split(*patterns):
    return [p.Split(Regex(s), "isolated") for s in patterns]


def cl100k(digits):
    return C + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|" + TAIL


def o200k(suffix, digits, less="", slash="/"):
    up, lo = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}" + less + "]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}" + less + "]"
    return (rf"[^\r\n\p{{L}}\p{{N}}]?{up}*{lo}+{suffix}|[^\r\n\p{{L}}\p{{N}}]?{up}+{lo}*{suffix}|{digits}"
            rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n{slash}]*|\s*[\r\n]+|{TAIL}")


BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
KANA = "[一-龥぀-ゟ゠-ヿ]+"
V3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^" "\r\n" r"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[" "\r\n" r"]*|\s*[" "\r\n" r"]+|" + TAIL)
CJK = "[一-龥\u0800-一가-\ud7ff]+"
CASED = (  # of deepseek-llm
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-"
    "\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-"
    "\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-"
    "\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d"
    "\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3"
    "\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-"
    "\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943")
ASIAN = "[一-鿿㐀-䶿\uf900-\ufaff぀-ゟ゠-ヿ･-ﾟ⼀-\u2fdf\u0e40-\u0e7f\u0e80-\u0effក-\u17ffက-႟ꩠ-ꩿꧠ-\ua9ff가-\ud7afᄀ-ᇿ]+"
YOUTU = "[가-\ud7a3ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + KANA
CASCADE = "".join(rf"\s{{{n}}}(?!\S)|" for n in (512, 256, 128, 64, 32, 16, 8, 4, "1,2")) + r"\s{1}"

PRE = {
    "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2": [DIGIT, GPT2],
    "gpt-2 phi-2 mpt olmo jais trillion roberta-bpe gigachat jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code a.x-4.0 mellum modern-bert exaone4 granite-docling": [GPT2],
    "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano dbrx smaug-bpe chatglm-bpe glm4": split(cl100k(r"\p{N}{1,3}")),
    "minicpm5": split(r"\p{N}{1,3}", cl100k(r"\p{N}+")),
    "jais-2": split(C + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|" + CASCADE),
    "qwen2 deepseek-r1-qwen stablelm2 megrez hunyuan grok-2 kormo f2llmv2 solar-open": split(cl100k(r"\p{N}")),
    "qwen35": split(C + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|" + TAIL),
    "laguna": split(r"[^\n]+|[\n]+", cl100k(r"\p{N}")),
    "bailingmoe bailingmoe2 llada-moe": split(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|" + TAIL),
    "seed-coder": split(C + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|" + TAIL),
    "exaone-moe": split(C + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|" + TAIL),
    "gpt-4o llama4 kanana2 talkie minimax-m2 granite-embed-multi-97m": split(o200k(C + "?", r"\p{N}{1,3}")),
    "tekken": split(o200k("", r"\p{N}")),
    "tiny_aya cohere2moe": split(r"\d{1,3}(?=(?:\d{3})*\b)", o200k(C + "?", r"\p{N}{1,3}")),
    "kimi-k2": split(r"[\p{Han}]+|" + o200k(C + "?", r"\p{N}{1,3}", less=r"&&[^\p{Han}]", slash="")),
    "youtu": split(YOUTU, o200k(C + "?", r"\p{N}")),
    "deepseek-coder": [*split("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK), DIGIT],
    "deepseek-llm": split("[\r\n]", r"\s?[" + CASED + "]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", CJK, r"\p{N}+"),
    "deepseek-v3 hunyuan-dense joyai-llm": split(r"\p{N}{1,3}", KANA, V3),
    "afmoe": split(r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))", ASIAN, V3),
    "superbpe": split(r"\p{N}+", r"(?=(\d{3})+(?!\d))"),
    "bloom poro-chat gpt3-finnish": split(BLOOM),
    "viking": [*split(BLOOM), DIGIT],
    "chameleon": [*split("<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", r"([\t\n]|    |  )"), DIGIT, p.Punctuation("isolated"), GPT2],
    "falcon": [p.Punctuation("contiguous"), GPT2, *split("[0-9][0-9][0-9]")],
    "default": [*split(r"[\p{P}\$\+<=>\^~\|]+"), GPT2, p.Digits(individual_digits=False), *split("[0-9][0-9][0-9]")],
}

TEXTS = [
    "Hello, world!  I'm you're he'LL WE'VE they'd it's 'S o'ſ x'T", "1234567 12 1x 12345x 1_000_000 ²³ Ⅷ½ ٣٤٥٦ १२३४५ 123٣٤", "a  b   c    d\t\t\te \n\n  f \r\n\r\n \r g   ", "   \n \n\n   x  \n",
    "int main(void)\n{\n\treturn a/b; // c\n}\n/*\n//\n", "camelCase HTTPServer ABCdef XMLhttp ǅabcǅ ÉCOLE École iPhone", "日本語のテキスト、です。汉字12繁體〇々 中 a中b ㄅㄆ", "한국어 텍스트 ㄱㄴ。“引”…—：；", "ไทยภาษา 12 ລາວ မြန်မာ ខ្មែរ",
    "नमस्ते दुनिया हिन्दी। বাংলা", "cafe\u0301 e\u0301\u0302x \u0301 \u0301\u0301", "👩\u200d👩\u200d👧 👍🏽🏳️\u200d🌈 🇩🇪!!\n", "x\u00a0y\u3000\u3000z\u0085\u0085 a\u2028b\u2029\u202f\u205f c\u180ed", "https://example.com/a?b=c&d=%20#e user@x.org",
    "!!!???\n\n...\r\n'''\"\"\"``` $$+<=>^~|", "<sentinel:12> IMGIMGABCZ IMGIMGQ", " " * 37 + "x" + "\n" * 5 + " " * 700, "\u200b\u200d\ufeff\u00ad x\u0000\u0001y", "Привет, мир! Ελληνικά ß ﬆ ŉ ⓐⓑ 1ⓐ", "a.b,c!d?e…f。g，h、i।j۔k،l(m|n)", "a b c  d e\nf g", "\ufffd\ue000\U0010ffff\u0378",
    "᪀⒄ 1²345½ 12345½ 6580597¹x 12¼ 123", "⹜〉᙭ 𑇉؋ a⹗b", "豈更 ⼀⼁ 〡〢 ⺀ ㌀ ｱｲｳ ＡＢＣ １２３", "don't DON'T don’t 'tis ''s'S", "\t\tif x:\r\n\t\t    pass\r\n", "𐐀𐐁 𝒜𝒷 ℝℂ ª º ǅ ʰ", "a'sb'lld 've're", " 's\n'\n 're", "e" * 40 + "É" * 20 + "é" * 20,
]


def mixtures(n, seed):
    r = random.Random(seed)
    pool = [c for s in TEXTS for c in s[:60]] + [" "] * 60 + ["\n"] * 10 + ["'"] * 10
    words = "the of 'S Paris unbelievable don't 2024 {} // \r\n \u3000 ー".split(",")[0].split(" ")
    for _ in range(n):
        yield "".join(r.choice(pool) if r.random() < 0.7 else r.choice(words) for _ in range(r.randrange(1, 30)))


def pieces(steps, text):
    """Lengths in bytes."""
    at = p.Sequence(steps).pre_tokenize_str(text)
    return [len(text[a:b].encode()) for _, (a, b) in at]


def main():
    texts = [*TEXTS, *mixtures(24, 7)]
    with open(OUT, "w") as f:
        for s in texts:
            print("text", s.encode().hex(), file=f)
        for names, steps in PRE.items():
            print("pre", names, file=f)
            for s in texts:
                print(*pieces(steps, s), file=f)


if __name__ == "__main__":
    main()
