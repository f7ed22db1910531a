#!/usr/bin/env python3
"""Tiny models with gated delta rules: tests/golden/arch/NAME.{gguf,bin} from NAME.{gguf,npz}, of qwen35, qwen35moe, qwen3next.

NAME.gguf and NAME.npz are what arch.py takes. Of a random model some tokens' heads nearly cancel before they are normed, so logits in f32
are off by 4e-5 of their range, transformers' too, which is more than gyre is held to. So here they are computed in doubles, after
the formulas of transformers' modeling_qwen3_5.py and modeling_qwen3_next.py (torch_recurrent_gated_delta_rule, whose lengths have an
epsilon under the root); further than 5e-5 from transformers' own stops the script. The .bin is what logits.py writes.

usage: delta.py FOLDER NAME...
Needs: numpy, gguf.
"""
import pathlib
import shutil
import struct
import sys

import gguf
import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "arch"
FAR = 5e-5
L2_EPS = 1e-6


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True) + L2_EPS)


class Model:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.fields = reader.fields
        self.arch = reader.fields["general.architecture"].contents()
        self.tensor = {t.name: np.array(t.data, dtype=np.float64) for t in reader.tensors}

    def key(self, name):
        return self.fields[f"{self.arch}.{name}"].contents()

    def of(self, layer, name):
        return self.tensor.get(f"blk.{layer}.{name}")

    def norm(self, x, w):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.key("attention.layer_norm_rms_epsilon")) * w

    def gates(self, i, h, n_key, n_head):
        """beta and alpha of each head, and which keys it has."""
        if (both := self.of(i, "ssm_ba.weight")) is None:
            return h @ self.of(i, "ssm_beta.weight").T, h @ self.of(i, "ssm_alpha.weight").T, np.arange(n_head) % n_key
        r = n_head // n_key
        both = (h @ both.T).reshape(len(h), n_key, 2, r)
        return both[:, :, 0].reshape(len(h), -1), both[:, :, 1].reshape(len(h), -1), np.arange(n_head) // r

    def delta(self, i, h):
        n, dk, n_key, n_head = len(h), *(self.key(f"ssm.{k}") for k in ("state_size", "group_count", "time_step_rank"))
        dv, n_tap = self.key("ssm.inner_size") // n_head, self.key("ssm.conv_kernel")
        qkv, w = h @ self.of(i, "attn_qkv.weight").T, self.of(i, "ssm_conv1d.weight")
        padded = np.concatenate([np.zeros((n_tap - 1, qkv.shape[1])), qkv])
        qkv = silu(sum(padded[j:j + n] * w[:, j] for j in range(n_tap)))
        q = unit(qkv[:, :n_key * dk].reshape(n, n_key, dk)) / np.sqrt(dk)
        k = unit(qkv[:, n_key * dk:2 * n_key * dk].reshape(n, n_key, dk))
        v = qkv[:, 2 * n_key * dk:].reshape(n, n_head, dv)
        beta, alpha, group = self.gates(i, h, n_key, n_head)
        decay = np.exp(self.of(i, "ssm_a") * np.log1p(np.exp(alpha + self.of(i, "ssm_dt.bias"))))
        s, y = np.zeros((n_head, dk, dv)), np.zeros((n, n_head, dv))
        for t in range(n):
            kt, qt = k[t][group], q[t][group]
            s *= decay[t][:, None, None]
            new = (v[t] - np.einsum("hkv,hk->hv", s, kt)) * sigmoid(beta[t])[:, None]
            s += kt[:, :, None] * new[:, None, :]
            y[t] = np.einsum("hkv,hk->hv", s, qt)
        z = (h @ self.of(i, "attn_gate.weight").T).reshape(n, n_head, dv)
        y = self.norm(y, self.of(i, "ssm_norm.weight")) * silu(z)
        return y.reshape(n, -1) @ self.of(i, "ssm_out.weight").T

    def turn(self, x):
        n_rot = self.key("rope.dimension_count")
        at = np.arange(len(x))[:, None] * self.key("rope.freq_base")**(-np.arange(0, n_rot, 2) / n_rot)
        c, s, a, b = np.cos(at)[:, None], np.sin(at)[:, None], x[..., :n_rot // 2], x[..., n_rot // 2:n_rot]
        return np.concatenate([a * c - b * s, b * c + a * s, x[..., n_rot:]], -1)

    def attention(self, i, h):
        n, n_head, n_kv, d = len(h), *(self.key(f"attention.{k}") for k in ("head_count", "head_count_kv", "key_length"))
        q, gate = np.moveaxis((h @ self.of(i, "attn_q.weight").T).reshape(n, n_head, 2, d), 2, 0)
        q = self.turn(self.norm(q, self.of(i, "attn_q_norm.weight")))
        k = (h @ self.of(i, "attn_k.weight").T).reshape(n, n_kv, d)
        k = self.turn(self.norm(k, self.of(i, "attn_k_norm.weight")))
        v = (h @ self.of(i, "attn_v.weight").T).reshape(n, n_kv, d)
        y = np.zeros((n, n_head, d))
        for head in range(n_head):
            score = q[:, head] @ k[:, head * n_kv // n_head].T / np.sqrt(d)
            score[np.triu_indices(n, 1)] = -np.inf
            p = np.exp(score - score.max(-1, keepdims=True))
            y[:, head] = p / p.sum(-1, keepdims=True) @ v[:, head * n_kv // n_head]
        return (y * sigmoid(gate)).reshape(n, -1) @ self.of(i, "attn_output.weight").T

    def ffn(self, h, gate, up, down):
        return (silu(h @ gate.T) * (h @ up.T)) @ down.T

    def experts(self, i, h):
        gate, up, down = (self.of(i, f"ffn_{k}_exps.weight") for k in ("gate", "up", "down"))
        logits = h @ self.of(i, "ffn_gate_inp.weight").T
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        y = self.ffn(h, *(self.of(i, f"ffn_{k}_shexp.weight") for k in ("gate", "up", "down")))
        y *= sigmoid(h @ self.of(i, "ffn_gate_inp_shexp.weight").reshape(-1))[:, None]
        for t in range(len(h)):
            best = np.argsort(-p[t], kind="stable")[:self.key("expert_used_count")]
            for e in best:
                y[t] += self.ffn(h[t], gate[e], up[e], down[e]) * p[t][e] / p[t][best].sum()
        return y

    def logits(self, tokens):
        x = self.tensor["token_embd.weight"][tokens]
        for i in range(self.key("block_count")):
            h = self.norm(x, self.of(i, "attn_norm.weight"))
            x = x + (self.attention(i, h) if self.of(i, "ssm_a") is None else self.delta(i, h))
            h = self.norm(x, self.of(i, "post_attention_norm.weight"))
            if self.of(i, "ffn_gate_inp.weight") is not None:
                x = x + self.experts(i, h)
            else:
                x = x + self.ffn(h, *(self.of(i, f"ffn_{k}.weight") for k in ("gate", "up", "down")))
        return self.norm(x, self.tensor["output_norm.weight"]) @ self.tensor["output.weight"].T


def main():
    source = pathlib.Path(sys.argv[1])
    OUT.mkdir(exist_ok=True)
    for name in sys.argv[2:]:
        run = np.load(source / f"{name}.npz")
        tokens = run["tokens"].astype("<i4").ravel()
        theirs = run["logits"].reshape(len(tokens), -1)
        logits = Model(source / f"{name}.gguf").logits(tokens)
        far = np.abs(logits - theirs).max() / (theirs.max() - theirs.min())
        print(f"{name}: transformers is {far:.1e} of the logit range away")
        if far > FAR:
            sys.exit("which is too far")
        shutil.copyfile(source / f"{name}.gguf", OUT / f"{name}.gguf")
        with open(OUT / f"{name}.bin", "wb") as f:
            f.write(struct.pack("<II", *logits.shape) + tokens.tobytes() + logits.astype("<f4").tobytes())


if __name__ == "__main__":
    main()
