#!/usr/bin/env python3
"""Blocks of every type that gyre reads, and their values by the gguf package: tests/golden/quants.bin. And a GGUF file with a tensor
of each type, to fuzz the reader with: tests/fuzz/corpus/gguf/tensor_types.gguf.

Blocks are random bits with ordinary, huge, tiny (subnormal) and negative scales, and all bits set or clear; every E8M0
scale of MXFP4 that is special; extremes of the float types. No NaN: of those only the fact is promised.

The file is, for each type: u32 ggml_type, u32 n_block, u8 block[n_block][block_bytes], f32 value[n_block][block_len],
little endian. Needs: gguf, numpy.
"""
import pathlib
import struct
import sys

import gguf
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from blocks import SCALES, block_size, put_scales, random_blocks  # noqa: E402

N_RANDOM = 2
# What the scales of further blocks of random bits are; f16's largest, smallest, and values around its subnormals.
SCALE_EXTREMES = (65504.0, -65504.0, 2.0 ** -24, -(2.0 ** -24), 2.0 ** -14, -0.0)
E8M0_EXTREMES = (0, 1, 2, 3, 126, 127, 128, 252, 253, 254, 255)


def adversarial(rng, name):
    """Blocks u8[n][bytes] of a type with f16 scales."""
    n = len(SCALE_EXTREMES)
    raw = random_blocks(rng, n + 2, name)
    raw[n], raw[n + 1] = 0, 255
    extremes = np.array(SCALE_EXTREMES + (0.0125, 0.0125))
    put_scales(raw, name, lambda at: np.roll(extremes, at // 2 % 2))
    return raw


def float_blocks(rng, name):
    bits = {"F32": 32, "F16": 16, "BF16": 16}[name]
    edge = {"F32": (0, 1, 0x007fffff, 0x00800000, 0x7f7fffff, 0x7f800000),
            "F16": (0, 1, 0x03ff, 0x0400, 0x7bff, 0x7c00),
            "BF16": (0, 1, 0x007f, 0x0080, 0x7f7f, 0x7f80)}[name]
    sign = 1 << (bits - 1)
    ordinary = rng.integers(edge[3], edge[4], 16)
    values = [v | s for v in (*edge, *map(int, ordinary)) for s in (0, sign)]
    return np.array(values, np.uint64).astype(f"<u{bits // 8}").view(np.uint8).reshape(len(values), -1)


def mxfp4_blocks(rng):
    raw = rng.integers(0, 256, (len(E8M0_EXTREMES) + N_RANDOM, 17), dtype=np.uint8)
    raw[:len(E8M0_EXTREMES), 0] = E8M0_EXTREMES
    return raw


def blocks(rng, name):
    if name in ("F32", "F16", "BF16"):
        return float_blocks(rng, name)
    if name == "MXFP4":
        return mxfp4_blocks(rng)
    return np.concatenate([random_blocks(rng, N_RANDOM, name), adversarial(rng, name)])


def write_golden(path, raw):
    with open(path, "wb") as f:
        for name, block in raw.items():
            kind = gguf.GGMLQuantizationType[name]
            with np.errstate(over="ignore"):
                values = gguf.quants.dequantize(block, kind).astype("<f4")
            assert values.size == len(block) * block_size(name)[0] and not np.isnan(values).any()
            f.write(struct.pack("<II", kind, len(block)))
            f.write(block.tobytes() + values.tobytes())


def write_model(path, raw):
    writer = gguf.GGUFWriter(path, "llama")
    for name, block in raw.items():
        writer.add_tensor(name, block[:2], raw_dtype=gguf.GGMLQuantizationType[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    rng = np.random.default_rng(4)
    raw = {name: blocks(rng, name) for name in ("F32", "F16", "BF16", "MXFP4", *SCALES)}
    write_golden(ROOT / "tests" / "golden" / "quants.bin", raw)
    write_model(ROOT / "tests" / "fuzz" / "corpus" / "gguf" / "tensor_types.gguf", raw)


if __name__ == "__main__":
    main()
