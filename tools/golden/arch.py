#!/usr/bin/env python3
"""Tiny models of other people's making: tests/golden/arch/NAME.{gguf,bin} from NAME.{gguf,npz}.

NAME.gguf is a random model of one of transformers' classes, in f32, as llama.cpp's converter writes it (vocabulary 320, 64 columns,
2 to 6 layers). NAME.npz has `tokens` [n_tok] and `logits` [n_tok][n_vocab] of transformers: f32, eager attention, one full pass without
a cache. The .bin is what tools/golden/logits.py writes.

usage: arch.py FOLDER NAME...
Needs: numpy.
"""
import pathlib
import shutil
import struct
import sys

import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "arch"


def main():
    source = pathlib.Path(sys.argv[1])
    OUT.mkdir(exist_ok=True)
    for name in sys.argv[2:]:
        run = np.load(source / f"{name}.npz")
        tokens, logits = run["tokens"].astype("<i4").ravel(), run["logits"].astype("<f4")
        logits = logits.reshape(len(tokens), -1)
        shutil.copyfile(source / f"{name}.gguf", OUT / f"{name}.gguf")
        with open(OUT / f"{name}.bin", "wb") as f:
            f.write(struct.pack("<II", *logits.shape) + tokens.tobytes() + logits.tobytes())


if __name__ == "__main__":
    main()
