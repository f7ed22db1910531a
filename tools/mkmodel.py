#!/usr/bin/env python3
"""Writes a tiny random llama GGUF, for tests. The same arguments give the same bytes.

    mkmodel.py out.gguf [--type Q4_K] [--layers 2] [--embd 256] [--ff 512] [--heads 4] [--kv-heads 2] [--vocab 320]
               [--untied] [--rope none|linear|freqs] [--seed 1]

Matrices get --type; norms are f32. The vocabulary is byte-level BPE (256 bytes, then merged pairs, one end-of-text).
Types that the gguf package cannot quantize (the K types, IQ4) get random blocks with small scales: any bits are a valid block.
Needs numpy and gguf (pip install numpy gguf).
"""
import argparse
import sys

try:
    import gguf
    import numpy as np
except ImportError as e:
    sys.exit(f"mkmodel.py: {e.name} is missing: pip install numpy gguf (in a venv: python3 -m venv DIR; DIR/bin/pip install numpy gguf)")

from blocks import block_size, random_blocks

QUANTIZED = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4")
RANDOM = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")


def add_matrix(writer, rng, name, rows, cols, type_name):
    kind = gguf.GGMLQuantizationType[type_name]
    if type_name in RANDOM:
        data = random_blocks(rng, rows * cols // block_size(type_name)[0], type_name).reshape(rows, -1)
    else:
        w = rng.normal(0, cols ** -0.5, (rows, cols)).astype(np.float32)
        data = gguf.quants.quantize(w, kind)
    writer.add_tensor(name, data, raw_dtype=kind)


def byte_symbols():
    """GPT-2's printable stand-ins for the 256 bytes."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    table = {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}
    return [table[b] for b in range(256)]


def add_vocabulary(writer, n_vocab):
    tokens, merges = byte_symbols(), []
    letters = "etaoinshrdlu"
    pairs = [a + b for a in letters for b in letters]
    for pair in pairs[:n_vocab - 257]:
        tokens.append(pair)
        merges.append(f"{pair[0]} {pair[1]}")
    while len(tokens) < n_vocab - 1:
        tokens.append(f"<|unused{len(tokens)}|>")
    n_normal = 256 + len(merges)
    tokens.append("<|endoftext|>")
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([normal if i < n_normal else control for i in range(n_vocab)])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(n_vocab - 1)
    writer.add_eos_token_id(n_vocab - 1)
    writer.add_add_bos_token(False)


def add_hparams(writer, a):
    writer.add_context_length(512)
    writer.add_embedding_length(a.embd)
    writer.add_block_count(a.layers)
    writer.add_feed_forward_length(a.ff)
    writer.add_head_count(a.heads)
    writer.add_head_count_kv(a.kv_heads)
    writer.add_rope_dimension_count(a.embd // a.heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(a.vocab)
    if a.rope == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(2.0)


def add_tensors(writer, a, rng):
    head_dim = a.embd // a.heads

    def norm(name):
        writer.add_tensor(name, rng.uniform(0.8, 1.2, a.embd).astype(np.float32))

    def matrix(name, rows, cols):
        add_matrix(writer, rng, name, rows, cols, a.type)

    matrix("token_embd.weight", a.vocab, a.embd)
    for i in range(a.layers):
        norm(f"blk.{i}.attn_norm.weight")
        matrix(f"blk.{i}.attn_q.weight", a.embd, a.embd)
        matrix(f"blk.{i}.attn_k.weight", a.kv_heads * head_dim, a.embd)
        matrix(f"blk.{i}.attn_v.weight", a.kv_heads * head_dim, a.embd)
        matrix(f"blk.{i}.attn_output.weight", a.embd, a.embd)
        norm(f"blk.{i}.ffn_norm.weight")
        matrix(f"blk.{i}.ffn_gate.weight", a.ff, a.embd)
        matrix(f"blk.{i}.ffn_up.weight", a.ff, a.embd)
        matrix(f"blk.{i}.ffn_down.weight", a.embd, a.ff)
    norm("output_norm.weight")
    if a.untied:
        matrix("output.weight", a.vocab, a.embd)
    if a.rope == "freqs":
        factors = np.linspace(1, 8, head_dim // 2, dtype=np.float32)
        writer.add_tensor("rope_freqs.weight", factors)


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("out")
    p.add_argument("--type", default="F32", choices=[*QUANTIZED, *RANDOM])
    for name, value in (("layers", 2), ("embd", 256), ("ff", 512), ("heads", 4), ("kv-heads", 2), ("vocab", 320), ("seed", 1)):
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--untied", action="store_true", help="a separate output.weight")
    p.add_argument("--rope", default="none", choices=["none", "linear", "freqs"])
    a = p.parse_args()
    block = block_size(a.type)[0]
    if a.embd % block or a.ff % block:
        p.error(f"--embd and --ff must be multiples of {block} for {a.type}")
    if a.embd % a.heads or a.heads % a.kv_heads or a.vocab < 257:
        p.error("--embd must be a multiple of --heads, --heads of --kv-heads, and --vocab at least 257")
    return a


def main():
    a = parse_arguments()
    writer = gguf.GGUFWriter(a.out, "llama")
    writer.add_name("tiny")
    add_hparams(writer, a)
    add_vocabulary(writer, a.vocab)
    add_tensors(writer, a, np.random.default_rng(a.seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
