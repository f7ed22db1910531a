#!/usr/bin/env python3
"""Writes tests/golden/vocabs/NAME.gguf and NAME.txt: a small vocabulary for every tokenizer model and kind of normalizer, and
what the reference makes of texts: Hugging Face tokenizers, SentencePiece, or llama.cpp through the library in xllamacpp.

Needs: pip install gguf tokenizers sentencepiece protobuf xllamacpp. Usage: tokenizers.py [--texts N] [--size N] [--corpus FILE]...
[--out DIR] [NAME]...  With --out and many texts it makes the long comparison, which the test reads from $GYRE_GOLDEN_VOCABS.
"""
import argparse
import collections
import ctypes
import io
import json
import os
import random
import re
import sys
import unicodedata

import gguf
import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
BYTES = [f"<0x{b:02X}>" for b in range(256)]
SPACE = "\u2581"
WHITE = [" ", "  ", "   ", "\t", "\n", "\n\n", "\n\n\n\n", "\r\n", "\u3000", "\u00a0", "\u2028", "\u200b", "\ufeff", "\x0b", "\x85"]
# What normalizers tell apart: marks in and out of order, decompositions of several letters, cases that are not one to one.
ODD = ["e\u0323\u0301", "e\u0301\u0323", "x\u05b4\u05bc", "x\u05bc\u05b4", "\u0301", "\U0001d15f\U0001d16d", "\U0001d165\U0001d16d", "\U0001d16d\U0001d165",
       "é", "İi", "ǅ", "ﬁ", "㌖", "한국", "\u1100\u1161\u11a8", "ﷺ", "नमस्ते", "Ⅷ", "ß", "ΑΣ", "豈", "\u00ad", "\ufffd", "\u1fef", "\u037e", "A" * 101, "`|~"]
# SentencePiece's rules for a small map: source characters, a tab, what stands for them; hexadecimal.
RULES = {"A": "a", "B": "b", "ﬁ": "fi", "ﷺ": "صلى الله", "\u3000": " ", "\u00a0": " ", "\t": " ", "\n": " ", "e\u0301": "é", "か\u3099": "が",
         "\u200b": "", "½": "1/2", "㌖": "キロメートル", SPACE: " ", "é": "e\u0301"}


# Words of many scripts and lines of code: what the vocabularies are trained on when no corpus is given.
def default_corpus():
    with open(os.path.join(HERE, "../../tests/golden/tokens.txt")) as f:
        texts = [bytes.fromhex(line.split()[0]).decode() for line in f if not line.startswith("-")]
    return [line for t in texts for line in t.splitlines() if line.strip()] + 20 * ODD


def alphabet(lines, n):
    """The n commonest characters; the trainers' own choice among equals is another one each time."""
    count = collections.Counter("".join(lines))
    return sorted(sorted(count, key=lambda c: (-count[c], c))[:n])


class LlamaCpp:
    """The reference library's vocabulary of a file."""

    class Params(ctypes.Structure):
        _fields_ = [(n, ctypes.c_void_p) for n in ("devices", "overrides")] + [(n, ctypes.c_int32) for n in (
            "n_gpu_layers", "split_mode", "load_mode", "lazy_mode", "main_gpu")] + [(n, ctypes.c_void_p) for n in (
                "tensor_split", "progress", "progress_data", "kv")] + [(n, ctypes.c_bool) for n in (
                    "vocab_only", "check_tensors", "use_extra_bufts", "no_host", "no_alloc", "load_mtp")]

    lib = None

    def __init__(self, path):
        if not LlamaCpp.lib:
            LlamaCpp.load()
        params = self.lib.llama_model_default_params()
        params.vocab_only = True
        model = self.lib.llama_model_load_from_file(path.encode(), params)
        if not model:
            sys.exit(f"llama.cpp does not load {path}")
        self.vocab = self.lib.llama_model_get_vocab(model)

    @staticmethod
    def load():
        import xllamacpp
        folder = os.path.dirname(xllamacpp.__file__)
        lib = LlamaCpp.lib = ctypes.CDLL(os.path.join(folder, next(f for f in os.listdir(folder) if f.endswith(".so"))))
        pointer = ctypes.c_void_p
        lib.llama_model_default_params.restype = LlamaCpp.Params
        lib.llama_model_load_from_file.argtypes, lib.llama_model_load_from_file.restype = [ctypes.c_char_p, LlamaCpp.Params], pointer
        lib.llama_model_get_vocab.argtypes, lib.llama_model_get_vocab.restype = [pointer], pointer
        lib.llama_tokenize.argtypes = [pointer, ctypes.c_char_p, ctypes.c_int32, pointer, ctypes.c_int32, ctypes.c_bool, ctypes.c_bool]
        lib.llama_token_to_piece.argtypes = [pointer, ctypes.c_int32, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_bool]
        LlamaCpp.quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, pointer)(lambda level, text, data: None)
        lib.llama_log_set.argtypes = [pointer, pointer]
        lib.llama_log_set(LlamaCpp.quiet, None)
        lib.llama_backend_init()

    def ids(self, text, special=False):
        room = (ctypes.c_int32 * (12 * len(text) + 16))()
        n = self.lib.llama_tokenize(self.vocab, text, len(text), room, len(room), special, False)
        return room[:n]

    def piece(self, token):
        room = ctypes.create_string_buffer(65536)
        n = self.lib.llama_token_to_piece(self.vocab, token, room, len(room), 0, True)
        return room.raw[:n]


class Kind:
    """A vocabulary: file(), what the reference says of a text (ids), and which texts it can be asked."""

    arch = "bert"

    def __init__(self, name, options, **how):
        self.name, self.corpus, self.size, self.how = name, options.lines, options.size, how
        self.path = os.path.join(options.out, name + ".gguf")

    def write(self, model, tokens, types, scores=None, merges=None, pre=None, ids=None, flags=None):
        w = gguf.GGUFWriter(self.path, self.arch)
        w.add_tokenizer_model(model)
        if pre:
            w.add_tokenizer_pre(pre)
        w.add_token_list([t if isinstance(t, bytes) else t.encode() for t in tokens])
        w.add_token_types(types)
        if scores:
            w.add_token_scores([float(s) for s in scores])
        if merges:
            w.add_token_merges([" ".join(m) for m in merges])
        for key, value in (ids or {}).items():
            w.add_uint32(f"tokenizer.ggml.{key}_token_id", value)
        for key, value in (flags or {}).items():
            w.add_bool("tokenizer.ggml." + key, value)
        if self.how.get("charsmap"):
            w.add_precompiled_charsmap(self.how["charsmap"])
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.close()

    def ids(self, text):
        return self.llama.ids(text)

    def asks(self, text):
        """Whether gyre means to give the ids of the reference; LOG.md of daemon/text says where it does not."""
        return is_utf8(text)


class WordPiece(Kind):
    """Letters, the commonest words, and beginnings and ends of words: the trainer's vocabulary is another one each time."""

    def file(self):
        lower, strip = self.how["lowercase"], self.how["strip"]
        normalizer = normalizers.BertNormalizer(lowercase=lower, strip_accents=strip)
        lines = [normalizer.normalize_str(line) for line in self.corpus]
        words = [w for line in lines for w, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(line)]
        count = collections.Counter(p for w in words if len(w) > 1 for p in [w, w[:2], w[:4], "##" + w[-2:], "##" + w[-4:]])
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        letters = alphabet(lines, self.size // 4)
        v = list(dict.fromkeys(special + letters + ["##" + c for c in letters] + sorted(count, key=lambda p: (-count[p], p))))[:self.size]
        self.t = Tokenizer(models.WordPiece({t: i for i, t in enumerate(v)}, unk_token="[UNK]"))
        self.t.normalizer, self.t.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
        tokens = special + [t[2:] if t.startswith("##") else SPACE + t for t in v[5:]]
        self.write("bert", tokens, [CONTROL] * 5 + [NORMAL] * (len(v) - 5), ids=dict(unknown=1, bos=2, seperator=3, padding=0),
                   flags={"normalizer.lowercase": lower, "normalizer.strip_accents": strip})

    def ids(self, text):
        return self.t.encode(text.decode(), add_special_tokens=False).ids

    def asks(self, text):
        # Characters newer than Unicode 7, or moved since, are of another class in the reference's tables; brackets make special tokens there.
        return is_utf8(text) and b"[" not in text and is_old(text.decode())


class Unigram(Kind):
    arch = "t5"

    def file(self):
        how = dict(self.how.get("train", {}))
        if self.how.get("rules"):
            rules = self.path + ".tsv"
            with open(rules, "w") as f:
                for a, b in RULES.items():
                    print(" ".join(f"{ord(c):x}" for c in a), " ".join(f"{ord(c):x}" for c in b), sep="\t", file=f)
            how["normalization_rule_tsv"] = rules
        common = set(alphabet(self.corpus, self.size // 3))
        lines = [line for line in self.corpus if common.issuperset(line)]
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=model, vocab_size=self.size, model_type="unigram", minloglevel=2, num_threads=1,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, character_coverage=1.0, hard_vocab_limit=False, **how)
        m = proto.ModelProto.FromString(model.getvalue())
        self.sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        if self.how.get("rules"):
            os.remove(rules)
        self.how["charsmap"] = m.normalizer_spec.precompiled_charsmap
        self.write("t5", [p.piece for p in m.pieces], [p.type for p in m.pieces], scores=[p.score for p in m.pieces],
                   ids=dict(eos=1, unknown=2, padding=0), flags={"add_space_prefix": m.normalizer_spec.add_dummy_prefix,
                                                                 "remove_extra_whitespaces": m.normalizer_spec.remove_extra_whitespaces})

    def ids(self, text):
        return self.sp.encode(text.decode(errors="replace")) if self.how.get("sentencepiece") else self.llama.ids(text)

    def asks(self, text):
        if not self.how.get("sentencepiece"):
            return is_utf8(text)
        # SentencePiece adds up in single precision: where its sums tie by rounding, both are right.
        return is_utf8(text) and not re.search(rb"(.{1,8}?)\1\1", text, re.DOTALL)


class Rwkv(Kind):
    arch = "rwkv7"

    def file(self):
        r, words, text = random.Random(3), {bytes([b]) for b in range(256)}, "\n".join(self.corpus).encode()
        while len(words) < self.size:
            i = r.randrange(len(text) - 20)
            words.add(text[i:i + r.randrange(2, 12)])
            words.add(r.choice([b"\n", b"\t", b"\\", b"'", b"\r", b"\x00", b'"']) * r.randrange(1, 6) + r.choice([b"", b"a", b"\xff", b" "]))
        words = sorted(words, key=lambda w: (len(w), w))
        self.write("rwkv", ["<s>"] + [repr(w)[2:-1] for w in words], [CONTROL] + [NORMAL] * len(words))

    def asks(self, text):
        return b"<s>" not in text  # there a text can write control tokens


class Plamo(Kind):
    arch = "plamo2"

    def file(self):
        r, text, seen = random.Random(4), "\n".join(self.corpus), set()
        special = [f"<|plamo:{s}|>" for s in ("unk", "bos", "eos", "pad")]
        tokens, scores = special + BYTES, [0.0] * 260
        while len(tokens) < self.size:
            i = r.randrange(len(text) - 20)
            t = text[i:i + r.choice([1, 1, 1, 2, 2, 3, 4, 5, 6, 8, 10, 14])]
            if t not in seen:
                seen.add(t)
                tokens.append(t)
                scores.append(r.choice([-r.random() * 12 - 1, -r.randrange(1, 12), -r.random() * 3, -5.5, float("-inf") if r.random() < 0.3 else -5.5]))
        self.write("plamo2", tokens, [UNKNOWN] + [CONTROL] * 3 + [BYTE] * 256 + [NORMAL] * (len(tokens) - 260), scores=scores,
                   ids=dict(bos=1, eos=2, padding=3, unknown=0), flags={"add_space_prefix": False})

    def asks(self, text):
        return is_utf8(text) and not text.startswith("\ufeff".encode()) and b"<|plamo:" not in text


def train_bpe(kind, special, limit):
    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.normalizer, t.pre_tokenizer = kind.normalizer, kind.pre_tokenizer
    letters = alphabet([kind.normalizer.normalize_str(line) for line in kind.corpus], limit)
    t.train_from_iterator(kind.corpus, trainers.BpeTrainer(vocab_size=kind.size, special_tokens=special, show_progress=False,
                                                           initial_alphabet=letters, limit_alphabet=len(letters), max_token_length=12))
    return t, in_order(t.get_vocab()), json.loads(t.to_str())["model"]["merges"]


class Gemma(Kind):
    arch = "gemma3"
    normalizer = normalizers.Replace(" ", SPACE)
    pre_tokenizer = pre_tokenizers.Split(Regex("[^\\n]+|[\\n]+"), "isolated")

    def file(self):
        special = ["<pad>", "<eos>", "<bos>", "<unk>"]
        _, tokens, merges = train_bpe(self, special + BYTES, self.size // 4)
        types = [CONTROL] * 3 + [UNKNOWN] + [BYTE] * 256 + [NORMAL] * (len(tokens) - 260)
        tokens += ["\n" * k for k in (2, 3, 4)] + ["<b>", "\n" * 5]
        types += [NORMAL] * 3 + [USER] * 2
        self.write(self.how.get("model", "gemma4"), tokens, types, merges=merges, pre=self.how.get("pre"),
                   ids=dict(bos=2, eos=1, unknown=3, padding=0), flags={"add_space_prefix": False, "add_bos_token": False})

    def asks(self, text):
        return is_utf8(text) and SPACE.encode() not in text and b"<unk>" not in text


class Words(Kind):
    arch = "jina-bert-v2"
    normalizer = normalizers.Lowercase()
    pre_tokenizer = pre_tokenizers.WhitespaceSplit()

    def file(self):
        self.t, tokens, merges = train_bpe(self, ["<s>", "<pad>", "</s>", "<unk>"], self.size // 3)
        self.write("whitespace", tokens, [CONTROL] * 3 + [UNKNOWN] + [NORMAL] * (len(tokens) - 4), merges=merges, pre="whitespace",
                   ids=dict(bos=0, eos=2, unknown=3, padding=1), flags={"normalizer.lowercase": True})

    def ids(self, text):
        return self.t.encode(text.decode(), add_special_tokens=False).ids

    def asks(self, text):
        # One character whose lower case is two, and what later versions of Unicode have of lower case.
        return is_utf8(text) and b"<" not in text and "\u0130" not in text.decode() and is_old(text.decode())


class Dna(Kind):
    """Byte-level BPE; some of the sixes have a token, one of them also as a word."""
    arch = "llama"

    def file(self):
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        t.train_from_iterator(self.corpus, trainers.BpeTrainer(vocab_size=self.size, show_progress=False,
                                                               initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        tokens, merges = in_order(t.get_vocab()), json.loads(t.to_str())["model"]["merges"]
        r = random.Random(5)
        sixes = {"".join(r.choice("ACGT") for _ in range(6)) for _ in range(60)} | {"AAAAAA", "CCCCCC", "ACGTAA"}
        tokens += ["CCCCCC", "<dna>", "</dna>", "<oov>"] + [s + "\ue000" for s in sorted(sixes)]
        self.corpus = self.corpus + [f"so <dna>{''.join(r.choice([*sorted(sixes), 'ac', 'N', 'GATTACA']) for _ in range(9))}"
                                     + r.choice(["</dna> and", "", "</dna>", "</dna><dna>"]) for _ in range(len(self.corpus))]
        self.write("hybriddna", tokens, [NORMAL] * len(tokens), merges=merges, pre="gpt-2")

    def asks(self, text):
        return is_utf8(text)


class FormC(Kind):
    """Byte-level BPE over text in form C, as Qwen's."""
    arch = "qwen2"

    def file(self):
        t = self.t = Tokenizer(models.BPE())
        t.normalizer = normalizers.NFC()
        t.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
                                 "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        t.train_from_iterator(self.corpus, trainers.BpeTrainer(vocab_size=self.size, show_progress=False,
                                                               initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        tokens, merges = in_order(t.get_vocab()), json.loads(t.to_str())["model"]["merges"]
        self.corpus = [unicodedata.normalize(form, line) for form in ("NFC", "NFD") for line in self.corpus]
        self.write("gpt2", tokens, [NORMAL] * len(tokens), merges=merges, pre="qwen2")

    def ids(self, text):
        return self.t.encode(text.decode(), add_special_tokens=False).ids

    def asks(self, text):
        # The reference's tables are of an older Unicode: marks that came later move none there.
        return is_utf8(text) and self.t.normalizer.normalize_str(text.decode()) == unicodedata.normalize("NFC", text.decode())


KINDS = {
    "bert": (WordPiece, dict(lowercase=True, strip=True)),
    "bert_cased": (WordPiece, dict(lowercase=False, strip=False)),
    "bert_accents": (WordPiece, dict(lowercase=True, strip=False)),
    "t5": (Unigram, dict(rules=True)),
    "t5_plain": (Unigram, dict(train=dict(normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False,
                                          split_by_whitespace=False))),
    "t5_bytes": (Unigram, dict(sentencepiece=True, rules=True, train=dict(byte_fallback=True))),
    "t5_no_prefix": (Unigram, dict(sentencepiece=True, rules=True, train=dict(add_dummy_prefix=False))),
    "t5_spaces": (Unigram, dict(sentencepiece=True, rules=True, train=dict(remove_extra_whitespaces=False))),
    "rwkv": (Rwkv, {}),
    "plamo2": (Plamo, {}),
    "gemma4": (Gemma, {}),
    "gemma4_pre": (Gemma, dict(model="gpt2", pre="gemma4")),
    "sarvam": (Gemma, dict(model="gpt2", pre="sarvam-moe")),
    "whitespace": (Words, {}),
    "hybriddna": (Dna, {}),
    "nfc": (FormC, {}),
}


def in_order(vocab):
    return [t for t, _ in sorted(vocab.items(), key=lambda x: x[1])]


def is_utf8(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_old(text):
    """Of characters that Unicode 3.2 knew, and put in today's class."""
    return all("Cn" != unicodedata.ucd_3_2_0.category(c) == unicodedata.category(c) for c in text)


def character(r):
    """Mostly of the first planes; surrogates are none."""
    k = r.random()
    if k < 0.4:
        return chr(r.randrange(0x20, 0x7f) if k < 0.3 else r.randrange(0x20))
    while True:
        c = r.randrange(0x80, 0x800) if k < 0.55 else r.randrange(0x800, 0x10000 if k < 0.9 else 0x110000)
        if not 0xd800 <= c < 0xe000:
            return chr(c)


def texts(n, lines, pieces):
    r = random.Random(9)
    pool = [c for line in lines[:4000] for c in line]
    for i in range(n):
        m = r.randrange(1, 30)
        if i % 10 == 0:
            yield "".join(character(r) for _ in range(m)).encode()
        elif i % 10 == 1:
            yield b"".join(r.choice(pieces) for _ in range(m))
        elif i % 10 < 4:
            yield r.choice(lines).encode()
        elif i % 10 == 4:
            yield "\n".join(r.choice(lines) for _ in range(3)).encode()
        elif i % 10 == 5:
            yield "".join(r.choice(pool) if r.random() < 0.8 else r.choice(WHITE) for _ in range(2 * m)).encode()
        elif i % 10 == 6:
            yield b"".join(r.choice([r.choice(pieces), r.choice(pieces), r.choice(WHITE).encode(), character(r).encode(), r.choice(ODD).encode()])
                           for _ in range(m))
        elif i % 10 == 7:
            yield (r.choice(WHITE) * r.randrange(4) + r.choice(lines)[:m] + r.choice(WHITE) * r.randrange(5)).encode()
        elif i % 10 == 8:
            yield (r.choice(pool) * r.randrange(1, 130) + character(r) * r.randrange(3)).encode()
        else:
            b = bytearray(r.choice(lines)[:60].encode())
            for _ in range(r.randrange(1, 6)):
                at = r.randrange(len(b) + 1)
                b[at:at] = bytes([r.randrange(256)])
            yield bytes(b)


def write_golden(kind, options):
    kind.file()
    kind.llama = LlamaCpp(kind.path)
    n_token = kind.llama.lib.llama_vocab_n_tokens(ctypes.c_void_p(kind.llama.vocab))
    pieces = [kind.llama.piece(i) for i in range(n_token)]
    n = 0
    with open(kind.path.replace(".gguf", ".txt"), "w") as f:
        if not isinstance(kind, Words):  # there the reference decodes characters as if they were GPT-2's bytes
            for p in pieces:
                print("p", p.hex() or "-", file=f)
        plain, special = kind.llama.ids(b"a"), kind.llama.ids(b"a", special=True)
        head = special.index(plain[0])
        print("s", b"a".hex(), *special[:head], *kind.ids(b"a"), *special[head + len(plain):], file=f)
        for text in texts(options.texts, kind.corpus, [p for p in pieces if p]):
            if kind.asks(text):
                print("t", text.hex() or "-", *kind.ids(text), file=f)
                n += 1
    print(f"{kind.name}: {n_token} tokens, {n} texts")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--texts", type=int, default=160)
    p.add_argument("--size", type=int, default=500)
    p.add_argument("--corpus", action="append", default=[])
    p.add_argument("--out", default=os.path.join(HERE, "../../tests/golden/vocabs"))
    p.add_argument("name", nargs="*", default=list(KINDS))
    options = p.parse_args()
    options.lines = [line.strip()[:300] for f in options.corpus for line in open(f, encoding="utf-8", errors="replace") if line.strip()]
    # llama.cpp reads tokens as C strings, so none may have a NUL.
    options.lines = [line for line in options.lines or default_corpus() if "\0" not in line]
    os.makedirs(options.out, exist_ok=True)
    for name in options.name:
        kind, how = KINDS[name]
        write_golden(kind(name, options, **how), options)


if __name__ == "__main__":
    main()
