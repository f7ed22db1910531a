#!/usr/bin/env python3
"""The second judge: llama.cpp on every model of tests/golden/arch, against the reference that gyre is held to (NAME.bin).

Prints a row a model: the largest difference of a logit, as a fraction of the reference's range, with K and V in f32 and in f16; and how many
positions have another likeliest token in f32. Where llama.cpp is much further away in f32 than test_golden allows gyre (1e-5), the two
references disagree about what the model is, and which of them gyre follows is said in the architecture's file. What f16 alone takes away is
written to tests/golden/arch/f16.txt, NAME DISTANCE a line, when all models are judged: gyre may lose no more by the same rounding.

usage: second.py [NAME...]
Needs: numpy, xllamacpp 2026.10.11549.
"""
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np

ARCH = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "arch"


def read_bin(path):
    data = path.read_bytes()
    n_tok, n_vocab = struct.unpack_from("<II", data)
    tokens = np.frombuffer(data, "<i4", n_tok, 8)
    return tokens, np.frombuffer(data, "<f4", n_tok * n_vocab, 8 + 4 * n_tok).reshape(n_tok, n_vocab)


def string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def u32(key, value):
    return string(key) + struct.pack("<II", 4, value)


def with_tokenizer(path, folder, n_vocab):
    """llama.cpp wants every file to say what its tokenizer is: the path, or of one that says nothing a copy that says it has none."""
    data = path.read_bytes()
    if b"tokenizer.ggml.model" in data:
        return path
    at = data.index(b"general.architecture") + 24
    (n,) = struct.unpack_from("<Q", data, at)
    arch = data[at + 8:at + 8 + n].decode()
    more = string("tokenizer.ggml.model") + struct.pack("<I", 8) + string("none") + u32(f"{arch}.vocab_size", n_vocab)
    more += u32("-" * (-(len(more) + 16) % 32 or 32), 0)  # what comes behind stays aligned
    n_tensor, n_kv = struct.unpack_from("<QQ", data, 8)
    copy = pathlib.Path(folder) / path.name
    copy.write_bytes(data[:8] + struct.pack("<QQ", n_tensor, n_kv + 3) + more + data[24:])
    return copy


def judge(name, kv):
    import llama_cpp
    tokens, want = read_bin(ARCH / f"{name}.bin")
    with tempfile.TemporaryDirectory() as folder:
        model = llama_cpp.Model(with_tokenizer(ARCH / f"{name}.gguf", folder, want.shape[1]), len(tokens), kv)
    got = model.logits(tokens)
    apart = np.abs(got - want).max() / (want.max() - want.min())
    return f"{apart:.1e}", int((got.argmax(1) != want.argmax(1)).sum())


def main():
    if sys.argv[1:2] == ["--one"]:
        apart, n_other = judge(sys.argv[2], "f32")
        print(apart, "|", judge(sys.argv[2], "f16")[0], "|", n_other)
        return
    names = sys.argv[1:] or sorted(p.stem for p in ARCH.glob("*.gguf"))
    print("| model | llama.cpp from the reference | in f16 | other likeliest tokens |\n|---|---|---|---|")
    lines = []
    for name in names:
        # A process each: what llama.cpp cannot read, it may abort on.
        one = subprocess.run([sys.executable, __file__, "--one", name], capture_output=True, text=True)
        said = one.stdout.strip() if one.returncode == 0 else "does not run it | |"
        print(f"| {name} | {said} |", flush=True)
        lines.append(f"{name} {said.split(' | ')[1]}\n")
    if len(sys.argv) == 1:
        (ARCH / "f16.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
