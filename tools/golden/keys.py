#!/usr/bin/env python3
"""Logits by llama.cpp under metadata that change numbers: tests/golden/keys_*.bin.

Each case is tests/golden/llama_plain.gguf with more keys in front, put there as the test does it (test_keys.c), so that the
model is kept once. The .bin files have the form of logits.py's. Needs: xllamacpp (llama.cpp as one library),
llama-cpp-py-sync (its declarations for cffi).
"""
import pathlib
import struct
import tempfile

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
U32, F32, BOOL, STR, ARR = 4, 6, 7, 8, 9


def entry(key, kind, value):
    out = struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind)
    if kind == STR:
        return out + struct.pack("<Q", len(value)) + value.encode()
    if kind == ARR:
        return out + struct.pack("<IQ", U32, len(value)) + struct.pack(f"<{len(value)}I", *value)
    return out + struct.pack({F32: "<f", BOOL: "<?"}.get(kind, "<I"), value)


# The keys of test_keys.c, in its order.
CASES = {
    "keys_linear_attn": [("llama.rope.scaling.type", STR, "linear"), ("llama.rope.scaling.factor", F32, 4.0),
                         ("llama.rope.scaling.attn_factor", F32, 1.5)],
    "keys_attn": [("llama.rope.scaling.type", STR, "none"), ("llama.rope.scaling.attn_factor", F32, 0.75)],
    "keys_factor_0": [("llama.rope.scaling.type", STR, "linear"), ("llama.rope.scaling.factor", F32, 0.0)],
    "keys_yarn_attn": [("llama.rope.scaling.type", STR, "yarn"), ("llama.rope.scaling.factor", F32, 4.0),
                       ("llama.rope.scaling.attn_factor", F32, 1.5),
                       ("llama.rope.scaling.original_context_length", U32, 16)],
    "keys_yarn_shrinks": [("llama.rope.scaling.type", STR, "yarn"), ("llama.rope.scaling.factor", F32, 0.5),
                          ("llama.rope.scaling.original_context_length", U32, 0)],
}


def with_keys(base, keys):
    """The new entries and a filler take a multiple of 32 bytes, so that nothing behind them moves out of line."""
    add = b"".join(entry(*k) for k in keys)
    bare = len(entry("golden.fill", STR, ""))
    add += entry("golden.fill", STR, "x" * (-(len(add) + bare) % 32))
    n_kv = struct.unpack_from("<Q", base, 16)[0] + len(keys) + 1
    return base[:16] + struct.pack("<Q", n_kv) + add + base[24:]


def logits(path, tokens, n_vocab):
    import xllamacpp.xllamacpp
    from llama_cpp_py_sync import _cffi_bindings as binding

    ffi = binding.ffi
    lib = ffi.dlopen(xllamacpp.xllamacpp.__file__)
    lib.llama_backend_init()
    mp = lib.llama_model_default_params()
    mp.n_gpu_layers = 0
    model = lib.llama_model_load_from_file(str(path).encode(), mp)
    cp = lib.llama_context_default_params()
    cp.n_ctx, cp.n_batch, cp.n_ubatch, cp.n_threads = 64, 64, 64, 1
    cp.flash_attn_type, cp.type_k, cp.type_v = 0, 0, 0  # K, V and their products in f32
    ctx = lib.llama_init_from_model(model, cp)
    out = b""
    for t in tokens:
        assert lib.llama_decode(ctx, lib.llama_batch_get_one(ffi.new("int32_t[]", [t]), 1)) == 0
        out += bytes(ffi.buffer(lib.llama_get_logits_ith(ctx, -1), 4 * n_vocab))
    lib.llama_free(ctx)
    lib.llama_model_free(model)
    return out


def main():
    base = (GOLDEN / "llama_plain.gguf").read_bytes()
    head = (GOLDEN / "llama_plain.bin").read_bytes()
    n_tok, n_vocab = struct.unpack_from("<II", head)
    tokens = struct.unpack_from(f"<{n_tok}i", head, 8)
    plain = [("tokenizer.ggml.model", STR, "none"), ("llama.vocab_size", U32, n_vocab)]
    for name, keys in CASES.items():
        with tempfile.NamedTemporaryFile(suffix=".gguf") as f:
            f.write(with_keys(base, plain + keys))
            f.flush()
            out = logits(f.name, tokens, n_vocab)
        (GOLDEN / f"{name}.bin").write_bytes(head[:8 + 4 * n_tok] + out)
        print(name)


if __name__ == "__main__":
    main()
