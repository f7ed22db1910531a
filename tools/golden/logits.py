#!/usr/bin/env python3
"""Tiny random models of each architecture and their logits by transformers: tests/golden/<architecture>_*.{gguf,bin}.

The models are small enough to commit, and each one has something the others lack: grouped-query attention, tied
embeddings, a way to stretch the rotary frequencies, biases, norms of heads. Weights are random but fixed (seed); F16 files hold values that are
exact in f16, so that both sides compute with the same numbers; and the reference's cache rounds K and V to f16, as
gyre's does (without that the largest difference is 2e-3 of the logit range, all of it from this rounding).

A .bin file is: u32 n_tok, u32 n_vocab, i32 token[n_tok], f32 logits[n_tok][n_vocab], little endian.
Needs: torch, transformers, gguf, numpy.
"""
import dataclasses
import pathlib
import struct

import gguf
import numpy as np
import torch
import transformers

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
N_TOK = 48
N_VOCAB = 96

BASE = dict(vocab_size=N_VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=16, rms_norm_eps=1e-5, max_position_embeddings=64, attention_bias=False,
            mlp_bias=False, tie_word_embeddings=False, initializer_range=0.35)


@dataclasses.dataclass
class Arch:
    """Classes of transformers, and how GGUF stores what they have."""
    classes: str
    is_paired: bool = False  # its rotary dimensions are (2i, 2i+1)
    norm_adds: float = 0  # to the weights of norms
    names: dict = dataclasses.field(default_factory=dict)  # of tensors, where they differ from NAMES


ARCHS = {
    # Its norms multiply by 1 more than they hold, GGUF's do not.
    "gemma2": Arch("Gemma2", norm_adds=1, names={
        "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm"}),
    "granite": Arch("Granite", is_paired=True),
    "llama": Arch("Llama", is_paired=True),
    "qwen2": Arch("Qwen2"),
    "qwen3": Arch("Qwen3"),
}
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
# What a configuration may have beside, and its key.
FACTORS = {"attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping",
           "embedding_multiplier": "embedding_scale", "residual_multiplier": "residual_scale",
           "attention_multiplier": "attention.scale", "logits_scaling": "logit_scale"}
# architecture_name: (file type, what differs from BASE, rope parameters)
MODELS = {
    "llama_plain": ("f32", {}, {"rope_type": "default", "rope_theta": 10000.0}),
    "llama_linear": ("f16", {"num_key_value_heads": 2},
                     {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}),
    "llama_llama3": ("f16", {"tie_word_embeddings": True, "head_dim": 32},
                     {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                      "high_freq_factor": 4.0, "original_max_position_embeddings": 16}),
    "llama_yarn": ("f16", {"tie_word_embeddings": True, "num_attention_heads": 4, "num_key_value_heads": 2},
                   {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
                    "original_max_position_embeddings": 16}),
    "qwen2_plain": ("f16", {"num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 64,
                            "rms_norm_eps": 1e-6}, {"rope_type": "default", "rope_theta": 1e6}),
    "qwen3_plain": ("f16", {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "rms_norm_eps": 1e-6,
                            "tie_word_embeddings": True}, {"rope_type": "default", "rope_theta": 1e6}),
    "llama_window": ("f16", {"sliding_window": 13, "num_key_value_heads": 2},
                     {"rope_type": "default", "rope_theta": 10000.0}),
    "llama_wide": ("f16", {"head_dim": 512, "num_attention_heads": 2, "num_hidden_layers": 1,
                           "tie_word_embeddings": True},
                   {"rope_type": "default", "rope_theta": 10000.0}),
    "granite_plain": ("f16", {"num_key_value_heads": 2, "embedding_multiplier": 6.0,
                              "residual_multiplier": 0.4, "attention_multiplier": 0.11, "logits_scaling": 3.0},
                      {"rope_type": "default", "rope_theta": 10000.0}),
    "gemma2_plain": ("f16", {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3,
                             "sliding_window": 13, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 5.0,
                             "final_logit_softcapping": 9.0, "tie_word_embeddings": True,
                             "hidden_activation": "gelu_pytorch_tanh", "attn_implementation": "eager"},
                     {"rope_type": "default", "rope_theta": 10000.0}),
}


class F16Cache(transformers.DynamicCache):
    """Holds K and V as f16."""

    def update(self, key_states, value_states, *args, **kwargs):
        k, v = super().update(key_states, value_states, *args, **kwargs)
        return k.half().float(), v.half().float()


def permute(w, n_head):
    """transformers pairs (i, i + head_dim/2), GGUF's llama (2i, 2i+1): the rows of a head are interleaved."""
    n_row, n_col = w.shape
    return w.reshape(n_head, 2, n_row // n_head // 2, n_col).swapaxes(1, 2).reshape(n_row, n_col)


def llama3_factors(config, rope):
    """What inv_freq is divided by, per pair: the tensor rope_freqs.weight."""
    dim = config.head_dim
    inv = 1.0 / rope["rope_theta"] ** (np.arange(0, dim, 2, dtype=np.float64) / dim)
    wavelen = 2 * np.pi / inv
    n, low, high = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = (n / wavelen - low) / (high - low)
    mid = 1.0 / ((1 - smooth) / rope["factor"] + smooth)
    out = np.where(wavelen < n / high, 1.0, np.where(wavelen > n / low, rope["factor"], mid))
    return out.astype(np.float32)


def write_metadata(w, config, rope):
    w.add_name("golden")
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_block_count(config.num_hidden_layers)
    w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(config.num_attention_heads)
    w.add_head_count_kv(config.num_key_value_heads)
    w.add_key_length(config.head_dim)
    w.add_value_length(config.head_dim)
    w.add_rope_dimension_count(config.head_dim)
    w.add_rope_freq_base(rope["rope_theta"])
    w.add_layer_norm_rms_eps(config.rms_norm_eps)
    if getattr(config, "sliding_window", None):
        w.add_sliding_window(config.sliding_window)
    for what, key in FACTORS.items():
        if getattr(config, what, None) is not None:
            w.add_float32(f"{w.arch}.{key}", getattr(config, what))
    if rope["rope_type"] in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        w.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def write_gguf(path, arch, model, config, rope, kind):
    w = gguf.GGUFWriter(path, arch)
    write_metadata(w, config, rope)
    names = NAMES | ARCHS[arch].names
    for name, t in model.state_dict().items():
        x = t.numpy().astype(np.float32)
        if name == "lm_head.weight":
            if config.tie_word_embeddings:
                continue
            out = "output.weight"
        elif name == "model.embed_tokens.weight":
            out = "token_embd.weight"
        elif name == "model.norm.weight":
            out = "output_norm.weight"
        else:
            _, _, i, rest = name.split(".", 3)
            module, kind_of = rest.rsplit(".", 1)
            out = f"blk.{i}.{names[module]}.{kind_of}"
            if ARCHS[arch].is_paired and "attn_q" in out:
                x = permute(x, config.num_attention_heads)
            if ARCHS[arch].is_paired and "attn_k" in out:
                x = permute(x, config.num_key_value_heads)
        if out.endswith("norm.weight"):
            x = x + np.float32(ARCHS[arch].norm_adds)
        w.add_tensor(out, x.astype(np.float16) if kind == "f16" and x.ndim == 2 else x)
    if rope["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_factors(config, rope))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for i, (name, (kind, differs, rope)) in enumerate(MODELS.items()):
        torch.manual_seed(1000 + i)
        arch = name.split("_")[0]
        classes = "Mistral" if name == "llama_window" else ARCHS[arch].classes
        config = getattr(transformers, classes + "Config")(**{**BASE, **differs}, rope_parameters=dict(rope))
        model = getattr(transformers, classes + "ForCausalLM")(config).float().eval()
        with torch.no_grad():
            for which, p in model.named_parameters():
                if p.ndim == 1:
                    p.copy_((0 if which.endswith("bias") else 1) + 0.2 * torch.randn_like(p))
                p.copy_(p.half().float())
            tokens = torch.randint(0, N_VOCAB, (1, N_TOK))
            logits = model(tokens, past_key_values=F16Cache(), use_cache=True).logits[0].numpy().astype("<f4")
        write_gguf(OUT / f"{name}.gguf", arch, model, config, rope, kind)
        with open(OUT / f"{name}.bin", "wb") as f:
            f.write(struct.pack("<II", N_TOK, N_VOCAB))
            f.write(tokens[0].numpy().astype("<i4").tobytes())
            f.write(logits.tobytes())
        print(name, "logits", float(logits.min()), float(logits.max()))


if __name__ == "__main__":
    main()
