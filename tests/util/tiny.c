#include "tests/util/tiny.h"

#include "daemon/model/arch.h"
#include "daemon/model/hparams.h"
#include "tests/util/random_block.h"
#include "tests/util/tiny_file.h"

#include <assert.h>
#include <stdlib.h>

const struct tiny tiny_served = { .n_embd = 64,
				  .n_layer = 2,
				  .n_head = 4,
				  .n_head_kv = 2,
				  .head_dim = 16,
				  .n_ff = 128,
				  .n_vocab = TINY_SERVED_VOCAB,
				  .n_ctx = TINY_SERVED_CTX,
				  .type_embd = QUANT_Q8_0,
				  .type_q = QUANT_Q4_1,
				  .type_k = QUANT_Q4_0,
				  .type_v = QUANT_Q5_0,
				  .type_o = QUANT_Q4_0,
				  .type_gate = QUANT_Q4_1,
				  .type_up = QUANT_Q4_0,
				  .type_down = QUANT_Q8_0,
				  .n_token = TINY_SERVED_VOCAB,
				  .is_tied = true };

static void tiny_add(struct tiny_file *f, const struct tiny *o, const char *name, uint32_t type, uint64_t n_row,
		     uint64_t n_col, uint64_t n_expert)
{
	struct tiny_tensor *t = &f->t[f->n];

	if (o->skip && strcmp(o->skip, name) == 0)
		return;
	if (o->bend && strcmp(o->bend, name) == 0)
		n_row ? n_row-- : n_col--;
	if (o->row && strcmp(o->row, name) == 0)
		n_row = 1;
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->type = n_row ? type : QUANT_F32;
	t->n_row = n_row;
	t->n_col = n_col;
	t->n_expert = n_expert;
	f->n++;
}

const char *tiny_arch(size_t i)
{
	return arch_at(i) ? arch_at(i)->name : NULL;
}

static const struct arch *find_arch(const struct tiny *o)
{
	size_t i = 0;

	while (arch_at(i) && strcmp(arch_at(i)->name, tiny_arch_name(o)))
		i++;
	assert(arch_at(i));
	return arch_at(i);
}

/* ---- experts ---- */

#define EXPERTS      6
#define EXPERTS_USED 2

static bool has_kind(const struct tiny *o, uint8_t kind)
{
	const struct arch *arch = find_arch(o);

	for (size_t i = 0; i < arch->n_tensor; i++)
		if (arch->tensor[i].in & kind)
			return true;
	return false;
}

static uint32_t n_expert(const struct tiny *o)
{
	return o->n_expert ? o->n_expert : find_arch(o)->experts.are == EXPERTS_ALWAYS ? EXPERTS : 0;
}

/* Layers without them, in front. */
static uint32_t n_dense(const struct tiny *o)
{
	if (!n_expert(o))
		return o->n_layer;
	return o->n_layer > 1 && find_arch(o)->experts.are == EXPERTS_ALWAYS && has_kind(o, LAYER_FF);
}

static void tiny_experts(struct tiny_file *f, const struct tiny *o)
{
	tiny_u32(f, ".expert_count", n_expert(o));
	tiny_u32(f, ".expert_used_count", o->n_expert ? o->n_expert_used : EXPERTS_USED);
	if (n_dense(o))
		tiny_u32(f, ".leading_dense_block_count", n_dense(o));
	tiny_u32(f, ".expert_feed_forward_length", o->n_ff);
	if (has_kind(o, LAYER_SHARED))
		tiny_u32(f, ".expert_shared_feed_forward_length", o->n_ff);
}

/* ---- vocabulary ---- */

/* Byte b as GPT-2 spells it. */
static void tiny_byte(struct tiny_file *f, unsigned b, unsigned *next)
{
	bool prints = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
	unsigned cp = prints ? b : 0x100 + (*next)++;
	char spell[3] = { (char)cp };

	if (cp >= 0x80) {
		spell[0] = (char)(0xc0 | cp >> 6);
		spell[1] = (char)(0x80 | (cp & 0x3f));
	}
	tiny_str(f, spell);
}

#define TINY_CHATML                                                                                            \
	"{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}" \
	"{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

/* The 256 bytes, ChatML's marks and the end of text as control tokens, then words that no merge makes. */
static void tiny_vocab(struct tiny_file *f, uint32_t n_token, uint32_t n_long, const char *chat_template)
{
	static const char *const control[] = { "<|im_start|>", "<|im_end|>", "<|endoftext|>" };
	unsigned next = 0;

	tiny_text(f, "tokenizer.ggml.model", "gpt2");
	tiny_text(f, "tokenizer.chat_template", chat_template);
	tiny_u32(f, "tokenizer.ggml.eos_token_id", 258);
	tiny_text(f, "general.name", "tiny");
	tiny_array(f, "tokenizer.ggml.merges", 8, 0);
	tiny_array(f, "tokenizer.ggml.token_type", 5, n_token);
	for (uint32_t i = 0; i < n_token; i++)
		tiny_put(f, &(uint32_t){ i >= 256 && i < 259 ? 3 : 1 }, 4);
	tiny_array(f, "tokenizer.ggml.tokens", 8, n_token);
	for (uint32_t i = 0; i < n_token; i++) {
		static char word[1 << 16];

		snprintf(word, sizeof(word), "word%u", i);
		if (n_long && i == n_token - 1)
			snprintf(word, sizeof(word), "%0*u", (int)n_long, i);
		if (i < 256)
			tiny_byte(f, i, &next);
		else
			tiny_str(f, i < 259 ? control[i - 256] : word);
	}
}

/* What xielu wants, of each layer. */
static void tiny_xielu(struct tiny_file *f)
{
	const struct {
		const char *key;
		float v;
	} want[] = {
		{ "xielu.alpha_n", -1 }, { "xielu.alpha_p", 0.5f }, { "xielu.beta", 0.5f }, { "xielu.eps", -1e-6f }
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		tiny_key(f, want[i].key, 6, &want[i].v, 4);
}

/* ---- what mixes tokens without attention ---- */

/* Numbers of it, where the architecture obeys them. */
static void tiny_mixer(struct tiny_file *f)
{
	const uint32_t inner = 2 * f->o->n_embd;
	const struct {
		const char *name;
		uint32_t v;
	} keys[] = {
		{ ".ssm.conv_kernel", 4 },
		{ ".ssm.inner_size", inner },
		{ ".ssm.state_size", 16 },
		{ ".ssm.time_step_rank", inner / 16 },
		{ ".ssm.group_count", 2 },
		{ ".full_attention_interval", 2 },
		{ ".shortconv.l_cache", 3 },
		{ ".wkv.head_size", 16 },
		{ ".time_mix_extra_dim", 8 },
		{ ".time_decay_extra_dim", 16 },
		{ ".attention.decay_lora_rank", 16 },
		{ ".attention.iclr_lora_rank", 8 },
		{ ".attention.value_residual_mix_lora_rank", 4 },
		{ ".attention.gate_lora_rank", 12 },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys_is_obeyed(find_arch(f->o), keys[i].name + 1))
			tiny_u32(f, keys[i].name, keys[i].v);
}

/* ---- metadata ---- */

bool tiny_differs(const struct tiny *o, const char *key)
{
	const struct arch *arch = find_arch(o);
	bool has_lists = has_kind(o, LAYER_ATTENTION) && keys_is_obeyed(arch, "ssm.group_count") &&
			 !keys_is_obeyed(arch, "full_attention_interval"); /* of hybrids with Mamba-2 */

	if (!strcmp(key, "attention.head_count_kv"))
		return has_lists || keys_is_obeyed(arch, "shortconv.l_cache");
	return has_lists && !strcmp(key, "feed_forward_length");
}

/* The same in each layer; or, where one without is another thing, the first of several has none. */
static void tiny_layers(struct tiny_file *f, const char *name, uint32_t v)
{
	const struct tiny *o = f->o;
	char key[TINY_KEY_BYTES];

	tiny_full_key(key, o, name);
	if (!tiny_differs(o, name + 1)) {
		tiny_u32(f, name, v);
	} else if (!tiny_is_replaced(f, key, NULL)) {
		tiny_array(f, key, 4, o->n_layer);
		for (uint32_t i = 0; i < o->n_layer; i++)
			tiny_put(f, &(uint32_t){ i || o->n_layer == 1 ? v : 0 }, 4);
	}
}

/* Numbers of a token for each layer. */
#define PER_LAYER 32

static uint32_t n_per_layer(const struct tiny *o)
{
	const struct arch *arch = find_arch(o);

	for (size_t i = 0; i < arch->n_tensor; i++)
		if (arch->tensor[i].width == VECTOR_PER_LAYER)
			return PER_LAYER;
	return 0;
}

static void tiny_metadata(struct tiny_file *f)
{
	const struct tiny *o = f->o;
	const struct arch *arch = find_arch(o);
	float eps = 1e-5f;

	tiny_text(f, "general.architecture", tiny_arch_name(o));
	for (size_t i = 0; i < o->n_kv; i++)
		tiny_key(f, o->kv[i].key, o->kv[i].type, o->kv[i].value, o->kv[i].n);
	tiny_u32(f, ".embedding_length", o->n_embd);
	tiny_u32(f, ".block_count", o->n_layer);
	tiny_layers(f, ".feed_forward_length", o->n_ff);
	tiny_u32(f, ".context_length", o->n_ctx);
	tiny_u32(f, ".attention.head_count", o->n_head);
	tiny_layers(f, ".attention.head_count_kv", o->n_head_kv);
	if (n_expert(o))
		tiny_experts(f, o);
	tiny_u32(f, ".attention.key_length", o->head_dim);
	tiny_u32(f, ".attention.value_length", o->head_dim);
	tiny_key(f, arch->norm == NORM_RMS ? ".attention.layer_norm_rms_epsilon" : ".attention.layer_norm_epsilon", 6,
		 &eps, 4);
	if (arch->gate == GATE_XIELU)
		tiny_xielu(f);
	tiny_mixer(f);
	if (n_per_layer(o))
		tiny_u32(f, ".embedding_length_per_layer_input", n_per_layer(o));
	if (o->n_token)
		tiny_vocab(f, o->n_token, o->n_long, o->chat_template ? o->chat_template : TINY_CHATML);
}

static void tiny_header(struct tiny_file *f)
{
	fseek(f->f, 0, SEEK_SET);
	tiny_put(f, "GGUF", 4);
	tiny_put(f, &(uint32_t){ 3 }, 4);
	tiny_put(f, &(uint64_t){ f->n }, 8);
	tiny_put(f, &f->n_kv, 8);
}

/* Of metadata that are refused: those of a llama of that shape, whose layers have all that they may. */
static void refused_shape(const struct tiny *o, struct hparams *hp)
{
	*hp = (struct hparams){ .n_embd = o->n_embd,
				.n_head = o->n_head,
				.n_head_kv = o->n_head_kv,
				.head_dim = o->head_dim,
				.n_ff = o->n_ff,
				.n_expert = n_expert(o),
				.n_ff_expert = o->n_ff,
				.n_ff_shared = o->n_ff,
				.ssm = { 4, 16, 16, 1, 1 } };
	for (uint32_t i = 0; i < o->n_layer; i++)
		hp->kind[i] = (uint8_t) ~(i < n_dense(o) ? LAYER_EXPERTS | LAYER_SHARED : LAYER_FF);
}

/* What a model makes of its metadata, but for those of the test: where these lie the tensors do not. */
static void read_shape(const struct tiny *o, struct hparams *hp)
{
	struct tiny plain = *o;
	struct tiny_file f = { .f = tmpfile(), .o = &plain };
	const struct arch *arch;
	struct gguf *g = NULL;
	struct error e;
	uint8_t *data;
	size_t n;

	assert(f.f);
	plain.n_kv = 0;
	tiny_header(&f);
	tiny_metadata(&f);
	n = (size_t)ftell(f.f);
	tiny_header(&f);
	data = malloc(n);
	rewind(f.f);
	assert(data);
	n = fread(data, 1, n, f.f);
	fclose(f.f);
	*hp = (struct hparams){ 0 };
	if (gguf_parse(&g, data, n, n, &e) < 0 || arch_read(&arch, hp, g, &e) < 0)
		refused_shape(o, hp);
	gguf_close(g);
	free(data);
}

static bool has(const struct tiny *o, const struct hparams *hp, uint32_t layer, size_t k)
{
	const struct layer_tensor *t = &find_arch(o)->tensor[k];

	return layer < o->n_layer && (!t->in || t->in & hp->kind[layer]) && (layer || !t->is_behind);
}

bool tiny_has(const struct tiny *o, uint32_t layer, size_t k)
{
	struct hparams hp;

	read_shape(o, &hp);
	return has(o, &hp, layer, k);
}

/* Rows and columns of a matrix, between the residual stream and an axis where the table does not say them; n_row 0: of a vector. */
static void tiny_shape(const struct tiny *o, const struct hparams *hp, const struct layer_tensor *t, uint64_t *n_row,
		       uint64_t *n_col)
{
	const uint64_t heads = o->n_head * o->head_dim, heads_kv = o->n_head_kv * o->head_dim;
	const uint64_t axis[] = { [PLAN_HEAD] = heads,
				  [PLAN_HEAD_KV] = heads_kv,
				  [PLAN_FF] = o->n_ff,
				  [PLAN_HEAD_K] = heads,
				  [PLAN_FF_K] = o->n_ff };
	bool is_by_columns = t->axis == PLAN_HEAD_K || t->axis == PLAN_FF_K;

	*n_row = t->n_row ? tensors_width(hp, t->n_row) : t->width ? 0 : is_by_columns ? o->n_embd : axis[t->axis];
	*n_col = t->width ? tensors_width(hp, t->width) : is_by_columns ? axis[t->axis] : o->n_embd;
}

/* F32 of a tensor that the mixture of types does not name. */
static uint32_t tiny_type(const struct tiny *o, const char *name)
{
	const struct {
		const char *name;
		uint32_t type;
	} types[] = {
		{ "attn_q.weight", o->type_q },
		{ "attn_k.weight", o->type_k },
		{ "attn_v.weight", o->type_v },
		{ "attn_output.weight", o->type_o },
		{ "ffn_gate.weight", o->type_gate },
		{ "ffn_up.weight", o->type_up },
		{ "ffn_down.weight", o->type_down },
		{ "ffn_gate_exps.weight", o->type_gate },
		{ "ffn_up_exps.weight", o->type_up },
		{ "ffn_down_exps.weight", o->type_down },
		{ "ffn_gate_shexp.weight", o->type_up },
		{ "ffn_up_shexp.weight", o->type_gate },
		{ "ffn_down_shexp.weight", o->type_down },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i].name, name))
			return types[i].type;
	return QUANT_F32;
}

/* A norm may be that of two blocks. */
static bool is_added(const struct tiny_file *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (!strcmp(f->t[i].name, name))
			return true;
	return false;
}

static void tiny_layer(struct tiny_file *f, const struct tiny *o, const struct hparams *hp, uint32_t layer)
{
	const struct arch *arch = find_arch(o);

	for (size_t i = 0; i < arch->n_tensor; i++) {
		const struct layer_tensor *t = &arch->tensor[i];
		uint64_t n_row, n_col;
		char name[48];

		snprintf(name, sizeof(name), "blk.%u.%s", layer, t->name);
		if (!has(o, hp, layer, i) || is_added(f, name))
			continue;
		tiny_shape(o, hp, t, &n_row, &n_col);
		tiny_add(f, o, name, tiny_type(o, t->name), n_row, n_col, t->is_of_experts ? n_expert(o) : t->n_matrix);
	}
}

static uint64_t tiny_numbers(const struct tiny_tensor *t)
{
	return (t->n_expert ? t->n_expert : 1) * (t->n_row ? t->n_row : 1) * t->n_col;
}

/* A NaN; of MXFP4, which has none, the largest scale. */
static void spoil(const struct tiny_tensor *t, uint8_t *block)
{
	if (t->type == QUANT_MXFP4)
		block[0] = 254;
	else
		memcpy(block, t->n_row ? "\x00\x7e" : "\x00\x00\xc0\x7f", t->n_row ? 2 : 4);
}

/* Of a state, which would grow without bounds. */
static bool is_decay(const struct tiny_tensor *t)
{
	return strstr(t->name, ".ssm_a") && !strstr(t->name, ".weight");
}

static void tiny_data(struct tiny_file *f, const struct tiny_tensor *t)
{
	const struct quant_info *q = quant_info(t->type);
	uint64_t n = tiny_numbers(t) / q->block_len;
	bool is_bad = f->o->bad && !strcmp(f->o->bad, t->name);
	uint8_t block[512];

	while (ftell(f->f) % 32)
		fputc(0, f->f);
	for (uint64_t i = 0; i < n; i++) {
		random_block(&f->random, t->type, block, q->block_bytes);
		if (!t->n_row || is_decay(t)) { /* a norm is around 1, a bias around 0 */
			float x = (strstr(t->name, ".bias") ? -0.25f : 0.75f) +
				  (float)(random_next(&f->random) & 0xff) / 512;

			x = is_decay(t) ? -x : x;
			memcpy(block, &x, 4);
		}
		if (is_bad && i == f->o->bad_row * (t->n_col / q->block_len))
			spoil(t, block);
		tiny_put(f, block, q->block_bytes);
	}
}

static void tiny_info(struct tiny_file *f)
{
	uint64_t offset = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct tiny_tensor *t = &f->t[i];
		const struct quant_info *q = quant_info(t->type);
		uint32_t n_dim = t->n_expert ? 3 : t->n_row ? 2 : 1;

		tiny_str(f, t->name);
		tiny_put(f, &n_dim, 4);
		tiny_put(f, &t->n_col, 8);
		if (t->n_row)
			tiny_put(f, &t->n_row, 8);
		if (t->n_expert)
			tiny_put(f, &t->n_expert, 8);
		tiny_put(f, &t->type, 4);
		tiny_put(f, &offset, 8);
		offset += tiny_numbers(t) / q->block_len * q->block_bytes;
		offset = (offset + 31) / 32 * 32;
	}
}

static void tiny_add_per_layer(struct tiny_file *f, const struct tiny *o)
{
	uint64_t n = (uint64_t)o->n_layer * n_per_layer(o);

	if (!n)
		return;
	tiny_add(f, o, "per_layer_token_embd.weight", QUANT_F32, o->n_vocab, n, 0);
	tiny_add(f, o, "per_layer_model_proj.weight", QUANT_F32, n, o->n_embd, 0);
	tiny_add(f, o, "per_layer_proj_norm.weight", QUANT_F32, 0, n_per_layer(o), 0);
}

int tiny_write(const char *path, const struct tiny *o)
{
	struct tiny_file f = { .f = fopen(path, "wb"), .o = o, .random = 42 };
	const struct arch *arch = find_arch(o);
	struct hparams hp;

	if (!f.f)
		return -1;
	read_shape(o, &hp);
	tiny_add(&f, o, "token_embd.weight", o->type_embd, o->n_vocab, o->n_embd, 0);
	tiny_add(&f, o, arch->output_norm ? arch->output_norm : "output_norm.weight", 0, 0, o->n_embd, 0);
	if (arch->norm == NORM_LAYER_BIAS)
		tiny_add(&f, o, "output_norm.bias", 0, 0, o->n_embd, 0);
	if (arch->has_embd_norm) {
		tiny_add(&f, o, "token_embd_norm.weight", 0, 0, o->n_embd, 0);
		tiny_add(&f, o, "token_embd_norm.bias", 0, 0, o->n_embd, 0);
	}
	if (!o->is_tied)
		tiny_add(&f, o, "output.weight", o->type_output, o->n_vocab, o->n_embd, 0);
	tiny_add_per_layer(&f, o);
	for (uint32_t i = 0; i < o->n_layer; i++)
		tiny_layer(&f, o, &hp, i);
	if (o->extra)
		tiny_add(&f, o, o->extra, 0, 0, 16, 0);
	tiny_header(&f);
	tiny_metadata(&f);
	tiny_info(&f);
	for (size_t i = 0; i < f.n; i++)
		tiny_data(&f, &f.t[i]);
	tiny_header(&f);
	return fclose(f.f);
}
