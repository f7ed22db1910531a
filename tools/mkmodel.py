#!/usr/bin/env python3
"""Writes a random GGUF: a tiny llama, for tests, or the shape of a model that people run, for benchmarks. The same arguments
give the same bytes.

    mkmodel.py out.gguf [--type Q4_K] [--layers 2] [--embd 256] [--ff 512] [--heads 4] [--kv-heads 2] [--vocab 320]
               [--untied] [--rope none|linear|freqs] [--seed 1]
    mkmodel.py out.gguf --shape qwen3-0.6b [--type Q4_K] [--end-type Q6_K] [--layers N] [--vocab-of other.gguf] [--seed 1]

Matrices get --type, or the nearest that divides their rows; the embedding and the output --end-type; norms are f32. The vocabulary is byte-level BPE (256 bytes, then merged pairs, one end-of-text).
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

from blocks import SCALES, block_size, random_blocks
from shapes import SHAPES

QUANTIZED = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4")
RANDOM = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")
RANDOM_ENDS = tuple(SCALES)


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


# A type whose blocks divide shorter rows, of about as many bits.
SHORTER = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "IQ4_XS": "IQ4_NL"}


class Shape:
    """Takes a shape's keys and tensors: first their descriptions, for the header, then each tensor's data, one at a time."""

    def __init__(self, writer, a, arch, n_vocab):
        self.writer, self.arch, self.n_vocab = writer, arch, n_vocab
        self.type, self.end_type = a.type, a.end_type or a.type
        self.rng = np.random.default_rng(a.seed)
        self.make = []

    def key(self, name, value):
        add = self.writer
        name = f"{self.arch}.{name}"
        if isinstance(value, list):
            add.add_array(name, value)
        elif isinstance(value, float):
            add.add_float32(name, value)
        elif isinstance(value, str):
            add.add_string(name, value)
        else:
            add.add_uint32(name, value)

    def add(self, name, shape, kind, make):
        """shape: of bytes for quantized types."""
        dtype = np.uint8 if kind not in ("F32", "F16") else np.float32 if kind == "F32" else np.float16
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.writer.add_tensor_info(name, shape, np.dtype(dtype), n_bytes, gguf.GGMLQuantizationType[kind])
        self.make.append(lambda: make().astype(dtype, copy=False).reshape(shape))

    def vector(self, name, n, low, high, columns=None):
        shape = (n,) if columns is None else (n, columns)
        self.add(name, shape, "F32", lambda: self.rng.uniform(low, high, shape))

    def norm(self, name, n):
        self.vector(name, n, 0.8, 1.2)

    def floats(self, name, rows, cols, scale):
        self.add(name, (rows, cols), "F32", lambda: self.rng.normal(0, scale, (rows, cols)))

    def matrix(self, name, rows, cols, n_expert=None, kind=None, is_end=False):
        kind = kind or (self.end_type if is_end else self.type)
        if cols % block_size(kind)[0]:
            kind = SHORTER[kind]
        lead = (rows,) if n_expert is None else (n_expert, rows)
        if kind in ("F32", "F16"):
            self.add(name, (*lead, cols), kind, lambda: self.rng.normal(0, cols ** -0.5, (*lead, cols)))
            return
        length, n_bytes = block_size(kind)
        n = int(np.prod(lead)) * cols // length
        self.add(name, (*lead, cols // length * n_bytes), kind, lambda: random_blocks(self.rng, n, kind))


def copy_vocabulary(writer, path):
    """Every tokenizer key of another file; returns how many tokens there are."""
    for name, field in gguf.GGUFReader(path).fields.items():
        if name.startswith("tokenizer."):
            sub_type = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type)
            if name == "tokenizer.ggml.tokens":
                n_vocab = len(field.data)
    return n_vocab


def write_shape(a):
    arch, n_vocab, build, numbers = SHAPES[a.shape]
    if a.layers:
        numbers = (a.layers, *numbers[1:])
    writer = gguf.GGUFWriter(a.out, arch)
    writer.add_name(f"{a.shape} of random weights")
    if a.vocab_of:
        n_vocab = copy_vocabulary(writer, a.vocab_of)
    else:
        add_vocabulary(writer, n_vocab)
    shape = Shape(writer, a, arch, n_vocab)
    build(shape, *numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for make in shape.make:
        writer.write_tensor_data(make())
    writer.close()


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("out")
    p.add_argument("--type", default="F32", choices=[*QUANTIZED, *RANDOM])
    for name, value in (("layers", None), ("embd", 256), ("ff", 512), ("heads", 4), ("kv-heads", 2), ("vocab", 320), ("seed", 1)):
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--untied", action="store_true", help="a separate output.weight")
    p.add_argument("--rope", default="none", choices=["none", "linear", "freqs"])
    p.add_argument("--shape", choices=[*SHAPES])
    p.add_argument("--end-type", choices=["F32", "F16", *RANDOM_ENDS], help="of a shape's token_embd and output")
    p.add_argument("--vocab-of", help="a GGUF file whose vocabulary a shape gets")
    a = p.parse_args()
    if a.shape:
        return a
    a.layers = a.layers or 2
    block = block_size(a.type)[0]
    if a.embd % block or a.ff % block:
        p.error(f"--embd and --ff must be multiples of {block} for {a.type}")
    if a.embd % a.heads or a.heads % a.kv_heads or a.vocab < 257:
        p.error("--embd must be a multiple of --heads, --heads of --kv-heads, and --vocab at least 257")
    return a


def main():
    a = parse_arguments()
    if a.shape:
        write_shape(a)
        return
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
