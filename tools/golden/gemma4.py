#!/usr/bin/env python3
"""Tiny random Gemma 4 models of what the one of arch.py has not: tests/golden/arch/gemma4_{moe,shared}.{gguf,bin}.

gemma4_moe is of the kind of 26B-A4B: experts beside a feed-forward, and in the layers that see all positions fewer KV heads, whose values
are what keys are before their norm. gemma4_shared is of the kind of E2B: the last layers read the K and V of others, and
their feed-forwards are twice as wide.

Written with the names of llama.cpp's converter from transformers' Gemma4ForCausalLM, whose logits, f32 in one pass without a cache, go
into the .bin, as logits.py writes it. All weights are random, norms and scales too. Where llama.cpp is installed as a library its
logits are compared, and more than FAR of the logit range stops the script: its gelu is a table in f16.

Needs: torch, transformers, gguf, numpy; to compare: xllamacpp, llama-cpp-py-sync.
"""
import struct

import numpy as np
import torch
import transformers

from recurrent import OUT, llama_cpp, write_gguf

N_TOK, N_VOCAB, N_EMBD, N_FF, N_LAYER, WINDOW, HEAD, HEAD_FULL = 48, 320, 64, 96, 6, 16, 16, 32
FAR = 5e-4
KINDS = ["sliding_attention", "sliding_attention", "full_attention"] * 2
MOE = {"enable_moe_block": True, "num_experts": 6, "top_k_experts": 2, "moe_intermediate_size": 32,
       "attention_k_eq_v": True, "num_global_key_value_heads": 1, "hidden_size_per_layer_input": 0}
SHARED = {"num_kv_shared_layers": 3, "use_double_wide_mlp": True, "hidden_size_per_layer_input": 16,
          "vocab_size_per_layer_input": N_VOCAB}

ENDS = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
        "model.embed_tokens_per_layer.weight": "per_layer_token_embd.weight",
        "model.per_layer_model_projection.weight": "per_layer_model_proj.weight",
        "model.per_layer_projection_norm.weight": "per_layer_proj_norm.weight"}
LAYER = {"input_layernorm.weight": "attn_norm.weight", "post_attention_layernorm.weight": "post_attention_norm.weight",
         "pre_feedforward_layernorm.weight": "ffn_norm.weight", "post_feedforward_layernorm.weight": "post_ffw_norm.weight",
         "self_attn.q_proj.weight": "attn_q.weight", "self_attn.k_proj.weight": "attn_k.weight",
         "self_attn.v_proj.weight": "attn_v.weight", "self_attn.o_proj.weight": "attn_output.weight",
         "self_attn.q_norm.weight": "attn_q_norm.weight", "self_attn.k_norm.weight": "attn_k_norm.weight",
         "mlp.gate_proj.weight": "ffn_gate.weight", "mlp.up_proj.weight": "ffn_up.weight",
         "mlp.down_proj.weight": "ffn_down.weight", "layer_scalar": "layer_output_scale.weight",
         "per_layer_input_gate.weight": "inp_gate.weight", "per_layer_projection.weight": "proj.weight",
         "post_per_layer_input_norm.weight": "post_norm.weight", "router.proj.weight": "ffn_gate_inp.weight",
         "router.scale": "ffn_gate_inp.scale", "router.per_expert_scale": "ffn_down_exps.scale",
         "experts.gate_up_proj": "ffn_gate_up_exps.weight", "experts.down_proj": "ffn_down_exps.weight",
         "post_feedforward_layernorm_1.weight": "post_ffw_norm_1.weight",
         "post_feedforward_layernorm_2.weight": "post_ffw_norm_2.weight",
         "pre_feedforward_layernorm_2.weight": "pre_ffw_norm_2.weight"}


def tensors(model):
    out = {}
    for name, x in [*model.named_parameters(), *model.named_buffers()]:
        x = x.detach().numpy().astype(np.float32)
        if name in ENDS:
            out[ENDS[name]] = x
        elif name.startswith("model.layers."):
            _, _, i, rest = name.split(".", 3)
            out[f"blk.{i}.{LAYER[rest]}"] = x
    n = HEAD_FULL // 2
    out["rope_freqs.weight"] = np.array([1.0] * (n // 4) + [1e30] * (n - n // 4), np.float32)
    return out


def randomise(model):
    with torch.no_grad():
        for name, p in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith(("norm.weight", "norm_1.weight", "norm_2.weight", "router.scale", "expert_scale", "layer_scalar")):
                p.copy_(1 + 0.2 * torch.randn_like(p))
            elif p.ndim > 1:
                p.copy_(0.5 * torch.randn_like(p) if "embed" in name else p.shape[-1]**-0.5 * torch.randn_like(p))


def make(options, tokens):
    config = transformers.Gemma4TextConfig(
        vocab_size=N_VOCAB, hidden_size=N_EMBD, intermediate_size=N_FF, num_hidden_layers=N_LAYER, num_attention_heads=4,
        num_key_value_heads=2, head_dim=HEAD, global_head_dim=HEAD_FULL, max_position_embeddings=256, sliding_window=WINDOW,
        layer_types=KINDS, final_logit_softcapping=30.0, attn_implementation="eager", **options)
    model = transformers.Gemma4ForCausalLM(config).float().eval()
    randomise(model)
    with torch.no_grad():
        logits = model(torch.from_numpy(tokens)[None], use_cache=False).logits[0].numpy()
    n_shared = options.get("num_kv_shared_layers", 0)
    n_full = options.get("num_global_key_value_heads", 2)
    keys = {
        "context_length": 256, "embedding_length": N_EMBD, "block_count": N_LAYER,
        "feed_forward_length": [2 * N_FF if i >= N_LAYER - n_shared else N_FF for i in range(N_LAYER)],
        "attention.head_count": 4, "attention.head_count_kv": [n_full if "full" in k else 2 for k in KINDS],
        "attention.key_length": HEAD_FULL, "attention.value_length": HEAD_FULL, "attention.key_length_swa": HEAD,
        "attention.value_length_swa": HEAD, "attention.layer_norm_rms_epsilon": 1e-6, "attention.sliding_window": WINDOW,
        "attention.sliding_window_pattern": ["sliding" in k for k in KINDS], "attention.shared_kv_layers": n_shared,
        "rope.freq_base": 1e6, "rope.freq_base_swa": 1e4, "rope.dimension_count": HEAD_FULL, "rope.dimension_count_swa": HEAD,
        "final_logit_softcapping": 30.0, "embedding_length_per_layer_input": options["hidden_size_per_layer_input"]}
    if "num_experts" in options:
        keys |= {"expert_count": 6, "expert_used_count": 2, "expert_feed_forward_length": 32}
    return keys, tensors(model), logits


def main():
    for seed, (name, options) in enumerate({"gemma4_moe": MOE, "gemma4_shared": SHARED}.items()):
        torch.manual_seed(seed)
        tokens = np.random.default_rng(seed).integers(0, N_VOCAB, N_TOK)
        keys, x, logits = make(options, tokens)
        write_gguf(OUT / f"{name}.gguf", "gemma4", keys, x)
        with open(OUT / f"{name}.bin", "wb") as f:
            f.write(struct.pack("<II", *logits.shape) + tokens.astype("<i4").tobytes() + logits.astype("<f4").tobytes())
        print(name, "logits", float(logits.min()), float(logits.max()), sorted(k for k in x if "blk.5" in k or "blk.0" in k))
        other = llama_cpp(OUT / f"{name}.gguf", tokens)
        if other is not None:
            far = float(np.abs(other - logits).max() / (logits.max() - logits.min()))
            print(f"{name}: llama.cpp's are {far:.1e} of their range away")
            assert far <= FAR


if __name__ == "__main__":
    main()
