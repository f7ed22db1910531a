#!/usr/bin/env python3
"""Tiny models of other people's making: tests/golden/arch/NAME.{gguf,bin} from NAME.{gguf,npz}.

NAME.gguf is a random model of one of transformers' classes, in f32, as llama.cpp's converter writes it (vocabulary 320, 64 columns,
2 to 6 layers). NAME.npz has `tokens` [n_tok] and `logits` [n_tok][n_vocab] of transformers: f32, eager attention, one full pass without
a cache. The .bin is what tools/golden/logits.py writes.

usage: arch.py FOLDER NAME...
Needs: numpy.
"""
import pathlib
import struct
import sys

import numpy as np

from keys import BOOL, with_keys

# What a reference did that its file has no word for.
MORE_KEYS = {"gptosstr": [("gpt-oss.rope.scaling.yarn_truncate", BOOL, True)]}

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "arch"


def main():
    source = pathlib.Path(sys.argv[1])
    OUT.mkdir(exist_ok=True)
    for name in sys.argv[2:]:
        run = np.load(source / f"{name}.npz")
        tokens, logits = run["tokens"].astype("<i4").ravel(), run["logits"].astype("<f4")
        logits = logits.reshape(len(tokens), -1)
        base = (source / f"{name}.gguf").read_bytes()
        more = MORE_KEYS.get(name)
        (OUT / f"{name}.gguf").write_bytes(with_keys(base, more) if more else base)
        with open(OUT / f"{name}.bin", "wb") as f:
            f.write(struct.pack("<II", *logits.shape) + tokens.tobytes() + logits.tobytes())


if __name__ == "__main__":
    main()
