#!/usr/bin/env python3
"""The second judge: llama.cpp on every model of tests/golden/arch, against the reference that gyre is held to (NAME.bin).

Prints a row a model: the largest difference of a logit, as a fraction of the reference's range, with K and V in f32; how many positions have
another likeliest token; and what test_golden allows gyre (1e-5). Where llama.cpp is much further away, the two references
disagree about what the model is, and which of them gyre follows is said in the architecture's file.

usage: second.py [NAME...]
Needs: numpy, xllamacpp 2026.10.11549.
"""
import pathlib
import struct
import subprocess
import sys

import numpy as np

ARCH = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "arch"


def read_bin(path):
    data = path.read_bytes()
    n_tok, n_vocab = struct.unpack_from("<II", data)
    tokens = np.frombuffer(data, "<i4", n_tok, 8)
    return tokens, np.frombuffer(data, "<f4", n_tok * n_vocab, 8 + 4 * n_tok).reshape(n_tok, n_vocab)


def judge(name):
    import llama_cpp
    tokens, want = read_bin(ARCH / f"{name}.bin")
    model = llama_cpp.Model(ARCH / f"{name}.gguf", len(tokens), "f32")
    got = model.logits(tokens)
    apart = np.abs(got - want).max() / (want.max() - want.min())
    return f"{apart:.1e} | {int((got.argmax(1) != want.argmax(1)).sum())}"


def main():
    if sys.argv[1:2] == ["--one"]:
        print(judge(sys.argv[2]))
        return
    names = sys.argv[1:] or sorted(p.stem for p in ARCH.glob("*.gguf"))
    print("| model | llama.cpp from the reference | other likeliest tokens |\n|---|---|---|")
    for name in names:
        # A process each: what llama.cpp cannot read, it may abort on.
        one = subprocess.run([sys.executable, __file__, "--one", name], capture_output=True, text=True)
        said = one.stdout.strip() if one.returncode == 0 else "does not run it |"
        print(f"| {name} | {said} |", flush=True)


if __name__ == "__main__":
    main()
