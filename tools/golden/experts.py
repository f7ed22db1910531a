#!/usr/bin/env python3
"""A tiny random model with experts that has no other source: tests/golden/arch/hunyuan_moe.{gguf,bin}.

Written with the names of llama.cpp's converter from transformers' HunYuanMoEV1ForCausalLM, whose logits, f32 in one pass without a cache,
go into the .bin, as logits.py writes it. All weights are random, norms too.

Needs: torch, transformers, gguf, numpy.
"""
import pathlib
import struct

import gguf
import numpy as np
import torch
import transformers

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "arch" / "hunyuan_moe"
N_TOK, N_VOCAB, N_EMBD, N_FF, N_LAYER, N_EXPERT, N_USED = 48, 320, 64, 96, 2, 6, 2
LAYER = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
         "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "self_attn.query_layernorm": "attn_q_norm", "self_attn.key_layernorm": "attn_k_norm",
         "mlp.gate.wg": "ffn_gate_inp", "mlp.shared_mlp.gate_proj": "ffn_gate_shexp",
         "mlp.shared_mlp.up_proj": "ffn_up_shexp", "mlp.shared_mlp.down_proj": "ffn_down_shexp"}
ENDS = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight"}


def tensors(model):
    for name, p in model.named_parameters():
        x = p.detach().numpy().astype(np.float32)
        if name in ENDS:
            yield ENDS[name], x
            continue
        _, _, i, rest = name.split(".", 3)
        if rest == "mlp.experts.gate_up_proj":
            yield f"blk.{i}.ffn_gate_exps.weight", x[:, :N_FF]
            yield f"blk.{i}.ffn_up_exps.weight", x[:, N_FF:]
        elif rest == "mlp.experts.down_proj":
            yield f"blk.{i}.ffn_down_exps.weight", x
        else:
            yield f"blk.{i}.{LAYER[rest.removesuffix('.weight')]}.weight", x


def main():
    torch.manual_seed(7)
    config = transformers.HunYuanMoEV1Config(
        vocab_size=N_VOCAB, hidden_size=N_EMBD, intermediate_size=N_FF, num_hidden_layers=N_LAYER, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, num_experts=N_EXPERT, moe_topk=N_USED, max_position_embeddings=256,
        rms_norm_eps=1e-5, attn_implementation="eager")
    model = transformers.HunYuanMoEV1ForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_((1 if p.ndim == 1 else 0) + 0.2 * torch.randn_like(p))
    tokens = np.random.default_rng(7).integers(0, N_VOCAB, N_TOK)
    with torch.no_grad():
        logits = model(torch.from_numpy(tokens)[None], use_cache=False).logits[0].numpy().astype("<f4")
    w = gguf.GGUFWriter(f"{OUT}.gguf", "hunyuan-moe")
    for key, v in {"context_length": 256, "embedding_length": N_EMBD, "block_count": N_LAYER, "feed_forward_length": N_FF,
                   "attention.head_count": 4, "attention.head_count_kv": 2, "attention.key_length": 16,
                   "attention.value_length": 16, "expert_count": N_EXPERT, "expert_used_count": N_USED,
                   "expert_feed_forward_length": N_FF, "expert_shared_feed_forward_length": N_FF}.items():
        w.add_uint32(f"hunyuan-moe.{key}", v)
    w.add_float32("hunyuan-moe.attention.layer_norm_rms_epsilon", 1e-5)
    w.add_float32("hunyuan-moe.rope.freq_base", float(model.config.rope_parameters["rope_theta"]))
    for name, x in tensors(model):
        w.add_tensor(name, np.ascontiguousarray(x))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    with open(f"{OUT}.bin", "wb") as f:
        f.write(struct.pack("<II", *logits.shape) + tokens.astype("<i4").tobytes() + logits.tobytes())


if __name__ == "__main__":
    main()
