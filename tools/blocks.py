"""Random blocks of the GGUF types whose scales are f16s at fixed places, and of MXFP4: any other bits of a block are valid."""
import gguf
import numpy as np

# Bytes at which the f16 scales of a block lie, and a range of scales that gives weights of about 0.01.
SCALES = {
    "Q4_0": ((0,), 1e-3, 4e-3),
    "Q4_1": ((0, 2), 1e-3, 2e-3),
    "Q5_0": ((0,), 5e-4, 2e-3),
    "Q5_1": ((0, 2), 5e-4, 1e-3),
    "Q8_0": ((0,), 5e-5, 2e-4),
    "Q2_K": ((80, 82), 5e-4, 2e-3),
    "Q3_K": ((108,), 2e-4, 8e-4),
    "Q4_K": ((0, 2), 2e-5, 1e-4),
    "Q5_K": ((0, 2), 2e-5, 1e-4),
    "Q6_K": ((208,), 2e-5, 1e-4),
    "IQ4_NL": ((0,), 1e-4, 4e-4),
    "IQ4_XS": ((0,), 6e-6, 2e-5),
}


def block_size(name):
    """Elements and bytes of a block."""
    return gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]


def put_scales(raw, name, values):
    """values(place) -> one f16 for each block of raw[n][bytes]."""
    for at in SCALES[name][0]:
        raw[:, at:at + 2] = values(at).astype(np.float16).view(np.uint8).reshape(-1, 2)


def random_blocks(rng, n, name):
    """u8[n][block bytes]"""
    raw = rng.integers(0, 256, (n, block_size(name)[1]), dtype=np.uint8)
    if name == "MXFP4":  # its scale is a power of two
        raw[:, 0] = rng.integers(118, 122, n)
        return raw
    _, low, high = SCALES[name]
    put_scales(raw, name, lambda _: rng.uniform(low, high, n))
    return raw
