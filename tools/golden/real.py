#!/usr/bin/env python3
"""Writes tests/golden/real.bin and real.txt: the default model's predictions and perplexity by others.

real.bin: the first N_TOK tokens of tests/golden/ppl.txt, and at every STRIDE-th position the TOP most probable next tokens
with their log-probabilities, by transformers on the weights dequantized to f32 (the whole distribution would be 50 MB):
u32 n_tok, n_pos, n_top; i32 token[n_tok]; n_pos times { u32 pos; u32 id[n_top]; f32 logprob[n_top] }, little endian.

real.txt: the perplexity of that text by transformers and by llama.cpp, counted as llama-perplexity does (windows of WINDOW
tokens that share nothing, the second half of each scored).

Needs: torch, transformers, accelerate, gguf, numpy, tokenizers; and llama-perplexity, whose path is $LLAMA_PERPLEXITY or on
the PATH. Usage: real.py [MODEL.gguf]
"""
import math
import os
import pathlib
import re
import struct
import subprocess

import torch
import transformers
from transformers import AutoModelForCausalLM

import tokens

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
TEXT = GOLDEN / "ppl.txt"
N_TOK, STRIDE, TOP, WINDOW = 512, 2, 32, 512


def write_bin(path, ids, logprob):
    with open(path, "wb") as f:
        f.write(struct.pack("<III", N_TOK, N_TOK // STRIDE, TOP))
        f.write(struct.pack(f"<{N_TOK}i", *ids))
        for pos in range(STRIDE - 1, N_TOK, STRIDE):
            top = logprob[pos].topk(TOP)
            f.write(struct.pack("<I", pos))
            f.write(top.indices.numpy().astype("<u4").tobytes())
            f.write(top.values.numpy().astype("<f4").tobytes())


def perplexity(model, ids):
    nll, n = 0.0, 0
    for at in range(0, len(ids) - WINDOW + 1, WINDOW):
        window = torch.tensor(ids[at:at + WINDOW])
        logprob = model(window[None]).logits[0].double().log_softmax(-1)
        rows = torch.arange(WINDOW // 2, WINDOW - 1)
        nll -= logprob[rows, window[rows + 1]].sum().item()
        n += len(rows)
    return math.exp(nll / n)


def llama_cpp(model):
    """The figure, and the command that gave it, with names in place of paths."""
    tool = os.environ.get("LLAMA_PERPLEXITY", "llama-perplexity")
    options = f"-c {WINDOW} -b {WINDOW} -t 2"
    out = subprocess.run([tool, "-m", model, "-f", TEXT, *options.split()], capture_output=True, text=True, check=True)
    figure = re.search(r"Final estimate: PPL = ([0-9.]+)", out.stdout + out.stderr).group(1)
    return figure, f"llama-perplexity -m {pathlib.Path(model).name} -f tests/golden/ppl.txt {options}"


def main():
    path = pathlib.Path(tokens.MODEL)
    ids = tokens.reference(tokens.MODEL).encode(TEXT.read_text(), add_special_tokens=False).ids
    figure, command = llama_cpp(tokens.MODEL)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, torch_dtype=torch.float32).eval()
    with torch.no_grad():
        logprob = model(torch.tensor([ids[:N_TOK]])).logits[0].double().log_softmax(-1)
        write_bin(GOLDEN / "real.bin", ids[:N_TOK], logprob)
        with open(GOLDEN / "real.txt", "w") as f:
            print(f"transformers {perplexity(model, ids):.4f} transformers {transformers.__version__}, f32", file=f)
            print(f"llama.cpp {figure} {command}", file=f)


if __name__ == "__main__":
    main()
