#!/usr/bin/env python3
"""Writes tests/golden/perplexity.txt: what llama.cpp makes of tests/golden/ppl.txt by real models beside the default one.

A line a model: its file in the cache (tools/fetch-model NAME puts it there), NAME, the perplexity, how many tokens the text is, and
the first of them. Counted as llama-perplexity does: windows of WINDOW tokens that share nothing, the first of each replaced by BOS
where the model wants one, the second half scored. K and V are f16, as gyre's are.

usage: perplexity.py [NAME...]
Needs: numpy, xllamacpp 2026.10.11549; the models.
"""
import importlib.metadata
import math
import pathlib
import subprocess
import sys

import numpy as np

import llama_cpp

TOP = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = TOP / "tests" / "golden"
WINDOW = 512
BOS = {"gemma3-270m": 2, "qwen2.5-coder-0.5b": None}


def perplexity(model, ids, bos):
    nll, n = 0.0, 0
    for at in range(0, len(ids) - WINDOW + 1, WINDOW):
        window = list(ids[at:at + WINDOW])
        if bos is not None:
            window[0] = bos
        rows = model.logits(window, WINDOW // 2)[:-1].astype(np.float32)
        top = rows.max(1)
        for row, most, token in zip(rows, top, window[WINDOW // 2 + 1:]):
            nll += math.log(np.exp(row - most, dtype=np.float64).sum()) + float(most) - float(row[token])
            n += 1
    return math.exp(nll / n)


def main():
    version = importlib.metadata.version("xllamacpp")
    with open(GOLDEN / "perplexity.txt", "w") as f:
        for name in sys.argv[1:] or BOS:
            path = pathlib.Path(subprocess.run([TOP / "tools" / "fetch-model", name], capture_output=True, text=True,
                                               check=True).stdout.strip())
            model = llama_cpp.Model(path, WINDOW)
            ids = model.tokens((GOLDEN / "ppl.txt").read_text())
            figure = perplexity(model, ids, BOS[name])
            model.close()
            print(path.name, name, f"{figure:.4f}", len(ids), *ids[:8], f"# xllamacpp {version}", file=f, flush=True)


if __name__ == "__main__":
    main()
