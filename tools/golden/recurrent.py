#!/usr/bin/env python3
"""Tiny random models of recurrent architectures that llama.cpp's converter does not take: tests/golden/arch/NAME.{gguf,bin}.

The converter reads a nemotron_h of transformers as one with experts, and the classes of RWKV are not transformers' own. So this script
writes the files itself, with the names and the transformations of llama.cpp's conversion/{nemotron,granite,mamba,rwkv}.py. Logits are
  nemotron_h  of transformers' NemotronHForCausalLM
  falcon_mamba  of its FalconMambaForCausalLM: a mamba with norms of steps, B and C
  rwkv7       of rwkv7-hf, in pure torch
  rwkv6       of the code below, in doubles, after RWKV-6 (Peng et al. 2024, "Eagle and Finch") and BlinkDL's own (package rwkv)
in one pass without a cache. All weights are random, norms and biases too. Where llama.cpp is installed as a library its logits are
compared, and more than 2e-5 of the logit range stops the script.

A .bin file is what logits.py writes. Needs: torch, transformers, rwkv7-hf, gguf, numpy; to compare: xllamacpp, llama-cpp-py-sync.
"""
import pathlib
import struct

import gguf
import numpy as np
import torch

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "arch"
N_TOK, N_VOCAB, N_EMBD, N_FF = 48, 320, 64, 96
FAR = 2e-5


def randomise(model, around=()):
    """Weights of 0.2, what is one-dimensional around 1 or 0; `around`: means of others, by the end of their name."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            mean = next((m for end, m in around if name.endswith(end)), None)
            if mean is None:
                mean = 1 if p.ndim == 1 and name.endswith("norm.weight") or "norm_f" in name else 0
            p.copy_(mean + (0.2 if mean or p.ndim == 1 else p.shape[-1]**-0.5) * torch.randn_like(p))


def numbers(model):
    return {name: p.detach().numpy().astype(np.float32) for name, p in model.named_parameters()}


def reference(model, tokens):
    with torch.no_grad():
        return model.float().eval()(torch.from_numpy(tokens)[None], use_cache=False).logits[0].numpy()


# ---- nemotron_h ----

NEMOTRON_H = "M-*M"
MIXER = {"in_proj.weight": "ssm_in.weight", "conv1d.weight": "ssm_conv1d.weight", "conv1d.bias": "ssm_conv1d.bias",
         "dt_bias": "ssm_dt.bias", "A_log": "ssm_a", "D": "ssm_d", "norm.weight": "ssm_norm.weight",
         "out_proj.weight": "ssm_out.weight", "up_proj.weight": "ffn_up.weight", "down_proj.weight": "ffn_down.weight",
         "q_proj.weight": "attn_q.weight", "k_proj.weight": "attn_k.weight", "v_proj.weight": "attn_v.weight",
         "o_proj.weight": "attn_output.weight"}


def nemotron_h_tensor(name, x, n_group):
    if not name.startswith("model.layers."):
        return {"model.embeddings.weight": "token_embd.weight", "model.norm_f.weight": "output_norm.weight",
                "lm_head.weight": "output.weight"}[name], x
    _, _, i, rest = name.split(".", 3)
    if rest == "norm.weight":
        return f"blk.{i}.attn_norm.weight", x
    out = f"blk.{i}.{MIXER[rest.removeprefix('mixer.')]}"
    if rest.endswith("A_log"):
        x = -np.exp(x)
    if rest.endswith(("A_log", ".D")):
        x = x.reshape(-1, 1)
    if rest == "mixer.norm.weight":
        x = x.reshape(n_group, -1)
    return out, x.squeeze(1) if rest.endswith("conv1d.weight") else x


def nemotron_h(tokens):
    import transformers
    kinds = {"M": "linear_attention", "*": "full_attention", "-": "mlp"}
    config = transformers.NemotronHConfig(
        vocab_size=N_VOCAB, hidden_size=N_EMBD, layers_block_type=[kinds[c] for c in NEMOTRON_H], num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, intermediate_size=N_FF, ssm_state_size=16, mamba_num_heads=8, mamba_head_dim=16,
        n_groups=2, conv_kernel=4, chunk_size=16, time_step_min=1e-30, layer_norm_epsilon=1e-5, max_position_embeddings=256,
        attn_implementation="eager")
    model = transformers.NemotronHForCausalLM(config)
    randomise(model, [("A_log", 0.5), ("mixer.D", 1), ("dt_bias", -1), ("embeddings.weight", 0.01)])
    n = len(NEMOTRON_H)
    keys = {
        "context_length": 1 << 20, "embedding_length": N_EMBD, "block_count": n,
        "feed_forward_length": [N_FF if c == "-" else 0 for c in NEMOTRON_H], "attention.head_count": 4,
        "attention.head_count_kv": [2 if c == "*" else 0 for c in NEMOTRON_H], "attention.key_length": 16,
        "attention.value_length": 16, "attention.layer_norm_rms_epsilon": 1e-5, "attention.layer_norm_epsilon": 1e-5,
        "rope.scaling.finetuned": False, "ssm.conv_kernel": 4, "ssm.state_size": 16, "ssm.group_count": 2,
        "ssm.inner_size": 128, "ssm.time_step_rank": 8}
    tensors = dict(nemotron_h_tensor(name, x, 2) for name, x in numbers(model).items())
    return keys, tensors, reference(model, tokens)


# ---- falcon_mamba ----

FALCON_MAMBA = {"in_proj.weight": "ssm_in.weight", "conv1d.weight": "ssm_conv1d.weight", "conv1d.bias": "ssm_conv1d.bias",
                "x_proj.weight": "ssm_x.weight", "dt_proj.weight": "ssm_dt.weight", "dt_proj.bias": "ssm_dt.bias",
                "A_log": "ssm_a", "D": "ssm_d", "out_proj.weight": "ssm_out.weight"}


def falcon_mamba_tensor(name, x):
    if not name.startswith("backbone.layers."):
        return {"backbone.embeddings.weight": "token_embd.weight", "backbone.norm_f.weight": "output_norm.weight",
                "lm_head.weight": "output.weight"}[name], x
    _, _, i, rest = name.split(".", 3)
    if rest == "norm.weight":
        return f"blk.{i}.attn_norm.weight", x
    x = -np.exp(x) if rest.endswith("A_log") else x
    return f"blk.{i}.{FALCON_MAMBA[rest.removeprefix('mixer.')]}", x.squeeze(1) if rest.endswith("conv1d.weight") else x


def falcon_mamba(tokens):
    import transformers
    config = transformers.FalconMambaConfig(
        vocab_size=N_VOCAB, hidden_size=N_EMBD, state_size=16, num_hidden_layers=3, layer_norm_epsilon=1e-5,
        mixer_rms_eps=1e-5, conv_kernel=4, time_step_rank=4, tie_word_embeddings=False)
    model = transformers.FalconMambaForCausalLM(config)
    randomise(model, [("A_log", 0.5), ("mixer.D", 1), ("dt_proj.bias", -1), ("norm.weight", 1)])
    keys = {
        "context_length": 1 << 20, "embedding_length": N_EMBD, "block_count": 3, "feed_forward_length": 0,
        "attention.head_count": 0, "attention.layer_norm_rms_epsilon": 1e-5, "ssm.conv_kernel": 4, "ssm.inner_size": 128,
        "ssm.state_size": 16, "ssm.time_step_rank": 4, "ssm.dt_b_c_rms": True}
    return keys, dict(falcon_mamba_tensor(name, x) for name, x in numbers(model).items()), reference(model, tokens)


# ---- rwkv7 ----

HEAD = 32  # llama.cpp's loops over a head take no fewer
# The norm of groups has an epsilon of 64e-5 in files; rwkv7-hf multiplies a head's size with that of the other norms.
EPS = 64e-5 / HEAD
RWKV7 = {"attn_norm": "attn_norm", "ffn_norm": "attn_norm_2", "attn.g_norm": "time_mix_ln",
         "attn.r_proj": "time_mix_receptance", "attn.k_proj": "time_mix_key", "attn.v_proj": "time_mix_value",
         "attn.o_proj": "time_mix_output", "ffn.key": "channel_mix_key", "ffn.value": "channel_mix_value"}
ENDS = {"model.embeddings.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
        "model.norm.bias": "output_norm.bias", "lm_head.weight": "output.weight",
        "model.layers.0.pre_norm.weight": "token_embd_norm.weight", "model.layers.0.pre_norm.bias": "token_embd_norm.bias"}


def rwkv7_name(rest):
    """Of a layer's parameter; low-rank pairs have a letter, and 1 and 2 for their matrices, 0 for the bias."""
    module, _, last = rest.rpartition(".")
    if "_lora" in rest:
        which = {"lora.0.weight": 1, "lora.2.weight": 2, "lora.2.bias": 0}[rest.split("_lora.")[1]]
        return f"time_mix_{rest[5]}{which}.weight"
    if rest == "ffn.x_k":
        return "channel_mix_lerp_k.weight"
    return f"time_mix_{last}.weight" if last in ("k_k", "k_a", "r_k") else f"{RWKV7[module]}.{last}"


def rwkv7_tensors(x):
    out = {}
    for name, v in x.items():
        if name in ENDS:
            out[ENDS[name]] = v
            continue
        _, _, i, rest = name.split(".", 3)
        if rest.startswith("attn.x_"):
            continue
        v = v.reshape(-1) if rest == "attn.r_k" else v
        to = rwkv7_name(rest)
        out[f"blk.{i}.{to}"] = v
        if i == "0" and to.startswith("time_mix_a"):  # unused there, and the converter's way to fill the place
            out[f"blk.0.{to.replace('_a', '_v')}"] = v
    for i in range(3):
        out[f"blk.{i}.time_mix_lerp_fused.weight"] = np.stack(
            [x[f"model.layers.{i}.attn.x_{c}"].reshape(1, 1, -1) for c in "rwkvag"])
    return out


def rwkv7(tokens):
    from rwkv7_hf.configuration_rwkv7 import RWKV7Config
    from rwkv7_hf.modeling_rwkv7 import RWKV7ForCausalLM
    rank = {"decay": 32, "gate": 48, "a": 32, "v": 16}
    config = RWKV7Config(vocab_size=N_VOCAB, hidden_size=N_EMBD, num_hidden_layers=3, head_dim=HEAD,
                         intermediate_size=N_FF, norm_eps=EPS, **{f"{k}_low_rank_dim": v for k, v in rank.items()})
    model = RWKV7ForCausalLM(config)
    randomise(model, [(f"x_{c}", 0.5) for c in "rwkvag"] + [("k_k", 0.7), ("k_a", 1), ("r_k", 0.3)])
    keys = {"context_length": 1 << 20, "embedding_length": N_EMBD, "block_count": 3, "attention.layer_norm_epsilon": EPS,
            "wkv.head_size": HEAD, "attention.decay_lora_rank": rank["decay"], "attention.iclr_lora_rank": rank["a"],
            "attention.value_residual_mix_lora_rank": rank["v"], "attention.gate_lora_rank": rank["gate"],
            "feed_forward_length": N_FF, "attention.head_count": 0}
    return keys, rwkv7_tensors(numbers(model)), reference(model, tokens)


# ---- rwkv6 ----

MIX, DECAY, RESCALE = 16, 32, 2
LERPS = "wkvrg"


def layer_norm(x, w, b, eps):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + eps) * w + b


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def shifted(x):
    return np.concatenate([np.zeros_like(x[:1]), x[:-1]]) - x


def rwkv6_recurrence(r, k, v, w, u):
    """[n_tok][n_head][HEAD] each but u[n_head][HEAD]: y[t] = (s + u k v) . r, then s = w s + k v, of s[n_head][key][value]."""
    s, y = np.zeros((r.shape[1], HEAD, HEAD)), np.empty_like(r)
    for t in range(len(r)):
        kv = k[t, :, :, None] * v[t, :, None, :]
        y[t] = np.einsum("hk,hkv->hv", r[t], s + u[:, :, None] * kv)
        s = w[t, :, :, None] * s + kv
    return y


def rwkv6_time_mix(x, p):
    n, sx = x, shifted(x)
    low = np.tanh((n + sx * p["lerp_x"]) @ p["w1"].T).reshape(len(x), 5, MIX)
    mixed = {c: n + sx * (p["lerp"][i] + low[:, i] @ p["w2"][i].T) for i, c in enumerate(LERPS)}
    heads = (len(x), N_EMBD // HEAD, HEAD)
    r, k, v = ((mixed[c] @ p[name].T).reshape(heads) for c, name in zip("rkv", ("receptance", "key", "value")))
    w = np.exp(-np.exp(p["decay"] + np.tanh(mixed["w"] @ p["decay_w1"].T) @ p["decay_w2"].T)).reshape(heads)
    gate = mixed["g"] @ p["gate"].T
    y = layer_norm(rwkv6_recurrence(r, k, v, w, p["first"]), 1, 0, 64e-5).reshape(len(x), -1)
    return ((y * p["ln"] + p["ln_b"]) * gate * sigmoid(gate)) @ p["output"].T


def rwkv6_channel_mix(x, p):
    sx = shifted(x)
    k = np.maximum((x + sx * p["ck_lerp"]) @ p["ck"].T, 0)**2
    return sigmoid((x + sx * p["cr_lerp"]) @ p["cr"].T) * (k @ p["cv"].T)


RWKV6 = {"lerp_x": "time_mix_lerp_x", "w1": "time_mix_w1", "w2": "time_mix_w2", "receptance": "time_mix_receptance",
         "key": "time_mix_key", "value": "time_mix_value", "gate": "time_mix_gate", "output": "time_mix_output",
         "decay": "time_mix_decay", "decay_w1": "time_mix_decay_w1", "decay_w2": "time_mix_decay_w2",
         "first": "time_mix_first", "ck_lerp": "channel_mix_lerp_k", "cr_lerp": "channel_mix_lerp_r",
         "ck": "channel_mix_key", "cr": "channel_mix_receptance", "cv": "channel_mix_value"}


def rwkv6_layer(rng):
    def matrix(*shape):
        return (rng.standard_normal(shape) * shape[-1]**-0.5).astype(np.float32)

    def around(mean, *shape):
        return (mean + 0.2 * rng.standard_normal(shape)).astype(np.float32)

    e = N_EMBD
    return {"lerp_x": around(0.5, e), "lerp": around(0.5, 5, e), "w1": matrix(5 * MIX, e), "w2": matrix(5, e, MIX),
            "receptance": matrix(e, e), "key": matrix(e, e), "value": matrix(e, e), "gate": matrix(e, e),
            "output": matrix(e, e), "decay": around(-1, e), "decay_w1": matrix(DECAY, e), "decay_w2": matrix(e, DECAY),
            "first": around(0.3, e // HEAD, HEAD), "ck_lerp": around(0.5, e), "cr_lerp": around(0.5, e),
            "ck": matrix(N_FF, e), "cr": matrix(e, e), "cv": matrix(e, N_FF),
            **{n: around(n in ("n1", "n2", "ln"), e) for n in ("n1", "n1_b", "n2", "n2_b", "ln", "ln_b")}}


def rwkv6(tokens):
    rng = np.random.default_rng(6)
    ends = {f"{n}.{k}": (float(k == "weight") + 0.2 * rng.standard_normal(N_EMBD)).astype(np.float32)
            for n in ("token_embd_norm", "output_norm") for k in ("weight", "bias")}
    for n in ("token_embd", "output"):
        ends[f"{n}.weight"] = (0.3 * rng.standard_normal((N_VOCAB, N_EMBD))).astype(np.float32)
    layers = [rwkv6_layer(rng) for _ in range(3)]
    x = ends["token_embd.weight"][tokens].astype(np.float64)
    x = layer_norm(x, ends["token_embd_norm.weight"], ends["token_embd_norm.bias"], 1e-5)
    tensors = dict(ends)
    for i, p in enumerate(layers):
        x = x + rwkv6_time_mix(layer_norm(x, p["n1"], p["n1_b"], 1e-5), p)
        x = x + rwkv6_channel_mix(layer_norm(x, p["n2"], p["n2_b"], 1e-5), p)
        x = x / 2 if (i + 1) % RESCALE == 0 else x  # what is added later was divided by the converter
        blk = {to: p[name] for name, to in RWKV6.items()}
        blk["time_mix_lerp_fused"] = p["lerp"].reshape(5, 1, 1, -1)
        tensors |= {f"blk.{i}.{n}.weight": v for n, v in blk.items()}
        for name, to in (("n1", "attn_norm"), ("n2", "attn_norm_2"), ("ln", "time_mix_ln")):
            tensors |= {f"blk.{i}.{to}.weight": p[name], f"blk.{i}.{to}.bias": p[name + "_b"]}
    x = layer_norm(x, ends["output_norm.weight"], ends["output_norm.bias"], 1e-5)
    keys = {"context_length": 1 << 20, "embedding_length": N_EMBD, "block_count": 3, "attention.layer_norm_epsilon": 1e-5,
            "rescale_every_n_layers": RESCALE, "wkv.head_size": HEAD, "time_mix_extra_dim": MIX,
            "time_decay_extra_dim": DECAY, "feed_forward_length": N_FF, "attention.head_count": 0}
    return keys, tensors, (x @ ends["output.weight"].T).astype(np.float32)


# ---- files ----

def write_gguf(path, arch, keys, tensors):
    w = gguf.GGUFWriter(path, arch)
    w.add_name("golden")
    w.add_tokenizer_model("none")
    w.add_vocab_size(N_VOCAB)
    for name, v in keys.items():
        add = {bool: w.add_bool, int: w.add_uint32, float: w.add_float32, list: w.add_array}[type(v)]
        add(f"{arch}.{name}", v)
    for name, x in tensors.items():
        w.add_tensor(name, np.ascontiguousarray(x))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def llama_cpp(path, tokens):
    """Its logits of one pass; None where it is not installed."""
    try:
        import xllamacpp.xllamacpp
        from llama_cpp_py_sync import _cffi_bindings as binding
    except ImportError:
        return None
    ffi = binding.ffi
    lib = ffi.dlopen(xllamacpp.xllamacpp.__file__)
    lib.llama_backend_init()
    mp, cp = lib.llama_model_default_params(), lib.llama_context_default_params()
    mp.n_gpu_layers = 0
    model = lib.llama_model_load_from_file(str(path).encode(), mp)
    cp.n_ctx, cp.n_batch, cp.n_ubatch, cp.n_threads = 64, 64, 64, 1
    cp.flash_attn_type, cp.type_k, cp.type_v = 0, 0, 0
    ctx = lib.llama_init_from_model(model, cp)
    out = np.empty((len(tokens), N_VOCAB), np.float32)
    for i, t in enumerate(tokens):
        assert lib.llama_decode(ctx, lib.llama_batch_get_one(ffi.new("int32_t[]", [int(t)]), 1)) == 0
        out[i] = np.frombuffer(ffi.buffer(lib.llama_get_logits_ith(ctx, -1), 4 * N_VOCAB), np.float32)
    lib.llama_free(ctx)
    lib.llama_model_free(model)
    return out


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for seed, make in enumerate((nemotron_h, rwkv6, rwkv7, falcon_mamba)):
        name = make.__name__
        torch.manual_seed(seed)
        tokens = np.random.default_rng(seed).integers(0, N_VOCAB, N_TOK)
        keys, tensors, logits = make(tokens)
        write_gguf(OUT / f"{name}.gguf", "mamba" if make is falcon_mamba else name, keys, tensors)
        with open(OUT / f"{name}.bin", "wb") as f:
            f.write(struct.pack("<II", *logits.shape) + tokens.astype("<i4").tobytes() + logits.astype("<f4").tobytes())
        other = llama_cpp(OUT / f"{name}.gguf", tokens)
        print(name, "logits", float(logits.min()), float(logits.max()))
        if other is not None:
            far = float(np.abs(other - logits).max() / (logits.max() - logits.min()))
            print(f"{name}: llama.cpp's are {far:.1e} of their range away")
            assert far <= FAR


if __name__ == "__main__":
    main()
