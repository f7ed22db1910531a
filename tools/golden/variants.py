#!/usr/bin/env python3
"""What tiny models of tests/golden/arch do not show by themselves: tests/golden/arch/NAME_VARIANT.{gguf,bin}.

Each variant is one of them with other metadata or further tensors, judged by llama.cpp with K and V in f32: temperatures within the
first positions, LongRoPE's two tensors, a text in a model that takes images, too. The form is that of arch.py.
Needs: gguf numpy xllamacpp llama-cpp-py-sync.
"""
import pathlib
import struct

import gguf
import numpy as np
import xllamacpp.xllamacpp
from llama_cpp_py_sync import _cffi_bindings as binding

ARCH = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "arch"
LONG = np.linspace(1.5, 9, 8, dtype=np.float32)
SHORT = np.linspace(1, 1.4, 8, dtype=np.float32)
LONGROPE = {"rope_factors_long.weight": LONG, "rope_factors_short.weight": SHORT}

# name: base, its architecture's new name or None, keys with their writer's method (None: not there), tensors
VARIANTS = {
    "ministral3_warm": ("ministral3", None, {"rope.scaling.original_context_length": ("add_uint32", 16)}, {}),
    "phi3_long": ("phi3", None, {"rope.scaling.original_context_length": ("add_uint32", 32),
                                 "rope.scaling.attn_factor": ("add_float32", 1.2)}, LONGROPE),
    "phi3_short": ("phi3", None, {"rope.scaling.original_context_length": ("add_uint32", 256)}, LONGROPE),
    # A file of before there were keys for these widths.
    "qwen2moe_old": ("qwen2moe", None, {"feed_forward_length": ("add_uint32", 64), "expert_feed_forward_length": None,
                                        "expert_shared_feed_forward_length": None}, {}),
    # llama.cpp (2026-10) does not read the epsilon of this architecture and takes 0; this one is as good as that.
    "qwen2vl": ("qwen2", "qwen2vl", {"rope.dimension_sections": ("add_array", [2, 3, 3, 0]),
                                     "attention.layer_norm_rms_epsilon": ("add_float32", 1e-12)}, {}),
    "qwen3vl": ("qwen3", "qwen3vl", {"rope.dimension_sections": ("add_array", [3, 3, 2, 0]),
                                     "n_deepstack_layers": ("add_uint32", 3)}, {}),
}


def rewrite(base, path, name, keys, tensors):
    r = gguf.GGUFReader(base)
    old = r.fields["general.architecture"].contents()
    w = gguf.GGUFWriter(path, name or old)
    for key, field in r.fields.items():
        own = key.removeprefix(old + ".")
        if key.startswith("GGUF.") or key == "general.architecture" or own in keys:
            continue
        new = f"{name}.{own}" if name and own != key else key
        kind = field.types[0]
        w.add_key_value(new, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for own, add in keys.items():
        if add:
            getattr(w, add[0])(f"{name or old}.{own}", add[1])
    for t, data in tensors.items():
        w.add_tensor(t, data)
    for t in r.tensors:
        w.add_tensor(t.name, t.data)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def logits(path, tokens, n_vocab):
    ffi, lib = binding.ffi, binding.ffi.dlopen(xllamacpp.xllamacpp.__file__)
    lib.llama_backend_init()
    mp = lib.llama_model_default_params()
    mp.n_gpu_layers = 0
    model = lib.llama_model_load_from_file(str(path).encode(), mp)
    cp = lib.llama_context_default_params()
    # As many positions as the file says: llama.cpp chooses LongRoPE's tensor by it.
    cp.n_ctx, cp.n_batch, cp.n_ubatch, cp.n_threads = 256, 64, 64, 1
    cp.flash_attn_type, cp.type_k, cp.type_v = 0, 0, 0
    ctx = lib.llama_init_from_model(model, cp)
    out = []
    for t in tokens:
        assert lib.llama_decode(ctx, lib.llama_batch_get_one(ffi.new("int32_t[]", [int(t)]), 1)) == 0
        out.append(bytes(ffi.buffer(lib.llama_get_logits_ith(ctx, -1), 4 * n_vocab)))
    lib.llama_free(ctx)
    lib.llama_model_free(model)
    return b"".join(out)


def main():
    for variant, (base, name, keys, tensors) in VARIANTS.items():
        path = ARCH / f"{variant}.gguf"
        rewrite(ARCH / f"{base}.gguf", path, name, keys, tensors)
        head = (ARCH / f"{base}.bin").read_bytes()
        n_tok, n_vocab = struct.unpack_from("<II", head)
        tokens = struct.unpack_from(f"<{n_tok}i", head, 8)
        (ARCH / f"{variant}.bin").write_bytes(head[:8 + 4 * n_tok] + logits(path, tokens, n_vocab))
        print(variant)


if __name__ == "__main__":
    main()
