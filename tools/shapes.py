"""Shapes of models that people run, for benchmarks: metadata and tensors of each, as llama.cpp's converter writes them.

A shape is made of calls on `to`: to.key(name, value) writes "<arch>.<name>"; to.norm, to.vector, to.floats and to.matrix add
tensors. Rows come before columns, and before both the number of experts.
"""


def heads(to, n_head, n_head_kv, head_dim):
    to.key("attention.head_count", n_head)
    to.key("attention.head_count_kv", n_head_kv)
    to.key("attention.key_length", head_dim)
    to.key("attention.value_length", head_dim)


def sizes(to, n_layer, n_embd, n_ff, n_ctx, base, eps=1e-6):
    to.key("block_count", n_layer)
    to.key("embedding_length", n_embd)
    to.key("feed_forward_length", n_ff)
    to.key("context_length", n_ctx)
    to.key("attention.layer_norm_rms_epsilon", float(eps))
    if base:
        to.key("rope.freq_base", float(base))


def ends(to, n_embd, is_tied, norm="output_norm"):
    to.matrix("token_embd.weight", to.n_vocab, n_embd, is_end=True)
    to.norm(f"{norm}.weight", n_embd)
    if not is_tied:
        to.matrix("output.weight", to.n_vocab, n_embd, is_end=True)


def attention(to, b, n_embd, n_head, n_head_kv, head_dim, q_times=1, has_norms=True):
    to.norm(f"{b}attn_norm.weight", n_embd)
    to.matrix(f"{b}attn_q.weight", q_times * n_head * head_dim, n_embd)
    to.matrix(f"{b}attn_k.weight", n_head_kv * head_dim, n_embd)
    to.matrix(f"{b}attn_v.weight", n_head_kv * head_dim, n_embd)
    to.matrix(f"{b}attn_output.weight", n_embd, n_head * head_dim)
    if has_norms:
        to.norm(f"{b}attn_q_norm.weight", head_dim)
        to.norm(f"{b}attn_k_norm.weight", head_dim)


def feed_forward(to, b, n_embd, n_ff, norm="ffn_norm"):
    to.norm(f"{b}{norm}.weight", n_embd)
    to.matrix(f"{b}ffn_gate.weight", n_ff, n_embd)
    to.matrix(f"{b}ffn_up.weight", n_ff, n_embd)
    to.matrix(f"{b}ffn_down.weight", n_embd, n_ff)


def experts(to, b, n_embd, n_ff, n_expert, kind=None):
    to.floats(f"{b}ffn_gate_inp.weight", n_expert, n_embd, scale=0.05)
    to.matrix(f"{b}ffn_gate_exps.weight", n_ff, n_embd, n_expert, kind=kind)
    to.matrix(f"{b}ffn_up_exps.weight", n_ff, n_embd, n_expert, kind=kind)
    to.matrix(f"{b}ffn_down_exps.weight", n_embd, n_ff, n_expert, kind=kind)


def qwen3(to, n_layer, n_embd, n_ff, n_head, n_head_kv, head_dim):
    sizes(to, n_layer, n_embd, n_ff, 40960, 1e6)
    heads(to, n_head, n_head_kv, head_dim)
    ends(to, n_embd, is_tied=True)
    for i in range(n_layer):
        b = f"blk.{i}."
        attention(to, b, n_embd, n_head, n_head_kv, head_dim)
        feed_forward(to, b, n_embd, n_ff)


def qwen3moe(to, n_layer, n_embd, n_ff, n_head, n_head_kv, head_dim, n_expert, n_used):
    sizes(to, n_layer, n_embd, 3 * n_embd, 40960, 1e6)
    heads(to, n_head, n_head_kv, head_dim)
    to.key("expert_count", n_expert)
    to.key("expert_used_count", n_used)
    to.key("expert_feed_forward_length", n_ff)
    ends(to, n_embd, is_tied=False)
    for i in range(n_layer):
        b = f"blk.{i}."
        attention(to, b, n_embd, n_head, n_head_kv, head_dim)
        to.norm(f"{b}ffn_norm.weight", n_embd)
        experts(to, b, n_embd, n_ff, n_expert)


def delta_net(to, b, n_embd, n_k, n_v, dim):
    """Heads of keys and of values, of `dim` each."""
    to.norm(f"{b}attn_norm.weight", n_embd)
    to.matrix(f"{b}attn_qkv.weight", (2 * n_k + n_v) * dim, n_embd)
    to.matrix(f"{b}attn_gate.weight", n_v * dim, n_embd)
    to.matrix(f"{b}ssm_alpha.weight", n_v, n_embd)
    to.matrix(f"{b}ssm_beta.weight", n_v, n_embd)
    to.floats(f"{b}ssm_conv1d.weight", (2 * n_k + n_v) * dim, 4, scale=0.3)
    to.vector(f"{b}ssm_a", n_v, -8, -0.5)
    to.vector(f"{b}ssm_dt.bias", n_v, -4, -1)
    to.norm(f"{b}ssm_norm.weight", dim)
    to.matrix(f"{b}ssm_out.weight", n_embd, n_v * dim)


def qwen35(to, n_layer, n_embd, n_ff, n_head, n_head_kv, head_dim, n_k, n_v, dim):
    sizes(to, n_layer, n_embd, n_ff, 262144, 1e7)
    heads(to, n_head, n_head_kv, head_dim)
    to.key("ssm.conv_kernel", 4)
    to.key("ssm.state_size", dim)
    to.key("ssm.group_count", n_k)
    to.key("ssm.time_step_rank", n_v)
    to.key("ssm.inner_size", n_v * dim)
    to.key("full_attention_interval", 4)
    to.key("rope.dimension_count", head_dim // 4)
    to.key("rope.dimension_sections", [11, 11, 10, 0])
    ends(to, n_embd, is_tied=True)
    for i in range(n_layer):
        b = f"blk.{i}."
        if i % 4 == 3:
            attention(to, b, n_embd, n_head, n_head_kv, head_dim, q_times=2)
        else:
            delta_net(to, b, n_embd, n_k, n_v, dim)
        feed_forward(to, b, n_embd, n_ff, norm="post_attention_norm")


def gemma3(to, n_layer, n_embd, n_ff, n_head, n_head_kv, head_dim, n_window):
    sizes(to, n_layer, n_embd, n_ff, 32768, 1e6)
    heads(to, n_head, n_head_kv, head_dim)
    to.key("rope.freq_base_swa", 1e4)
    to.key("attention.sliding_window", n_window)
    ends(to, n_embd, is_tied=True)
    for i in range(n_layer):
        b = f"blk.{i}."
        attention(to, b, n_embd, n_head, n_head_kv, head_dim)
        to.norm(f"{b}post_attention_norm.weight", n_embd)
        feed_forward(to, b, n_embd, n_ff)
        to.norm(f"{b}post_ffw_norm.weight", n_embd)


def lfm2(to, n_layer, n_embd, n_ff, n_head, n_head_kv, full):
    sizes(to, n_layer, n_embd, n_ff, 128000, 1e6, 1e-5)
    to.key("attention.head_count", n_head)
    to.key("attention.head_count_kv", [n_head_kv if i in full else 0 for i in range(n_layer)])
    to.key("vocab_size", to.n_vocab)
    to.key("shortconv.l_cache", 3)
    ends(to, n_embd, is_tied=True, norm="token_embd_norm")
    for i in range(n_layer):
        b = f"blk.{i}."
        if i in full:
            attention(to, b, n_embd, n_head, n_head_kv, n_embd // n_head)
        else:
            to.norm(f"{b}attn_norm.weight", n_embd)
            to.floats(f"{b}shortconv.conv.weight", n_embd, 3, scale=0.3)
            to.matrix(f"{b}shortconv.in_proj.weight", 3 * n_embd, n_embd)
            to.matrix(f"{b}shortconv.out_proj.weight", n_embd, n_embd)
        feed_forward(to, b, n_embd, n_ff)


def mamba2(to, n_layer, n_embd, n_inner, n_head, n_state):
    n_conv = n_inner + 2 * n_state
    sizes(to, n_layer, n_embd, 0, 1048576, 0, 1e-5)
    to.key("attention.head_count", 0)
    to.key("ssm.conv_kernel", 4)
    to.key("ssm.inner_size", n_inner)
    to.key("ssm.state_size", n_state)
    to.key("ssm.time_step_rank", n_head)
    to.key("ssm.group_count", 1)
    ends(to, n_embd, is_tied=True)
    for i in range(n_layer):
        b = f"blk.{i}."
        to.norm(f"{b}attn_norm.weight", n_embd)
        to.matrix(f"{b}ssm_in.weight", n_inner + n_conv + n_head, n_embd)
        to.floats(f"{b}ssm_conv1d.weight", n_conv, 4, scale=0.3)
        to.vector(f"{b}ssm_conv1d.bias", n_conv, -0.1, 0.1)
        to.vector(f"{b}ssm_dt.bias", n_head, -4, -1)
        to.vector(f"{b}ssm_a", n_head, -8, -0.5, columns=1)
        to.vector(f"{b}ssm_d", n_head, 0.5, 1.5, columns=1)
        to.vector(f"{b}ssm_norm.weight", 1, 0.8, 1.2, columns=n_inner)
        to.matrix(f"{b}ssm_out.weight", n_embd, n_inner)


def gpt_oss(to, n_layer, n_embd, n_head, n_head_kv, head_dim, n_expert, n_used):
    sizes(to, n_layer, n_embd, n_embd, 131072, 150000, 1e-5)
    heads(to, n_head, n_head_kv, head_dim)
    to.key("rope.scaling.type", "yarn")
    to.key("rope.scaling.factor", 32.0)
    to.key("rope.scaling.original_context_length", 4096)
    to.key("attention.sliding_window", 128)
    to.key("expert_count", n_expert)
    to.key("expert_used_count", n_used)
    to.key("expert_feed_forward_length", n_embd)
    ends(to, n_embd, is_tied=False)
    for i in range(n_layer):
        b = f"blk.{i}."
        attention(to, b, n_embd, n_head, n_head_kv, head_dim, has_norms=False)
        for name, rows in (("attn_q", n_head * head_dim), ("attn_k", n_head_kv * head_dim),
                           ("attn_v", n_head_kv * head_dim), ("attn_output", n_embd), ("ffn_gate_inp", n_expert)):
            to.vector(f"{b}{name}.bias", rows, -0.1, 0.1)
        to.vector(f"{b}attn_sinks.weight", n_head, -1, 1)
        to.norm(f"{b}post_attention_norm.weight", n_embd)
        experts(to, b, n_embd, n_embd, n_expert, kind="MXFP4")
        for name in ("gate", "up", "down"):
            to.vector(f"{b}ffn_{name}_exps.bias", n_expert, -0.1, 0.1, columns=n_embd)


# name: architecture, vocabulary, its function, what that is given
SHAPES = {
    "qwen3-0.6b": ("qwen3", 151936, qwen3, (28, 1024, 3072, 16, 8, 128)),
    "qwen3moe-6b-a1b": ("qwen3moe", 151936, qwen3moe, (18, 2048, 768, 16, 4, 128, 64, 8)),
    "qwen35-0.8b": ("qwen35", 248320, qwen35, (24, 1024, 3584, 8, 2, 256, 16, 16, 128)),
    "gemma3-270m": ("gemma3", 262144, gemma3, (18, 640, 2048, 4, 1, 256, 512)),
    "lfm2-350m": ("lfm2", 65536, lfm2, (16, 1024, 4608, 16, 8, (2, 5, 8, 10, 12, 14))),
    "mamba2-370m": ("mamba2", 50288, mamba2, (48, 1024, 2048, 32, 128)),
    "gpt-oss-5b": ("gpt-oss", 201088, gpt_oss, (6, 2880, 64, 8, 64, 32, 4)),
}
