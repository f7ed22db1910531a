/*
 * Rotary tables: cos and sin of pos * frequency for every position and pair, in double precision and then rounded to f32.
 * The C library is not asked: its last bit differs between versions and CPUs, and these tables enter every logit. The
 * functions of f64.h are our own.
 */
#include "daemon/model/rope.h"

#include "daemon/model/arch.h"
#include "daemon/model/f64.h"
#include "daemon/model/hparams.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES       96
#define BASE_MIN        1.5f
#define BASE_MAX        1e15f
#define FREQ_FACTOR_MAX 1.0001e30f /* of pairs that stay where they are, which is 1e30 */
#define PI              3.14159265358979323846

enum rope_type { ROPE_NONE, ROPE_LINEAR, ROPE_YARN, ROPE_LONG };

struct rope_params {
	enum rope_type type;
	float base, factor;
	float attn_factor;          /* of every rotated element, whatever the type */
	float beta_fast, beta_slow; /* yarn */
	float log_mul;              /* of what yarn scales its elements by, this much is taken back */
	bool is_truncated;          /* yarn: bounds between pairs go to the pair outside */
	uint32_t n_ctx_orig;
};

/* An absent key leaves *v alone; what is there must be in [min, max]. */
static int get_f32(const struct gguf *g, const char *arch, const char *name, float *v, float min, float max,
		   struct error *e)
{
	char key[KEY_BYTES];
	float x;
	int r;

	snprintf(key, sizeof(key), "%s.rope.%s", arch, name);
	r = gguf_get_f32(g, key, &x);
	if (r == -ENOENT)
		return 0;
	if (r < 0 || !(x >= min && x <= max))
		return error_set(e, -EINVAL, "%s is not a number in %g..%g", key, (double)min, (double)max);
	*v = x;
	return 0;
}

static int read_type(struct rope_params *p, const struct gguf *g, const char *arch, struct error *e)
{
	char key[KEY_BYTES];
	struct gguf_str type;
	int r;

	snprintf(key, sizeof(key), "%s.rope.scaling.type", arch);
	r = gguf_get_str(g, key, &type);
	if (r == -ENOENT) {
		/* Files of 2023 have only a factor, which is then linear. */
		p->type = p->factor != 1 ? ROPE_LINEAR : ROPE_NONE;
		return 0;
	}
	if (r < 0)
		return error_set(e, -EINVAL, "%s is not a string", key);
	if (gguf_str_eq(type, "none"))
		p->type = ROPE_NONE;
	else if (gguf_str_eq(type, "linear"))
		p->type = ROPE_LINEAR;
	else if (gguf_str_eq(type, "yarn"))
		p->type = ROPE_YARN;
	else if (gguf_str_eq(type, "longrope") && p->factor == 1)
		p->type = ROPE_LONG;
	else
		return error_set(e, -ENOTSUP,
				 "%s is \"%.*s\": gyre knows none, linear, yarn, and longrope without a factor", key,
				 (int)(type.n < 40 ? type.n : 40), type.p);
	return 0;
}

/* What YaRN multiplies rotated elements with, too (Peng et al. 2023, section 3.4). */
static double yarn_scale(const struct rope_params *p)
{
	double more = p->type == ROPE_YARN && p->factor > 1 ? 0.1 * f64_log(p->factor) : 0;

	return (1 + more) / (1 + (double)p->log_mul * more);
}

/* GGUF has no key of its own for it: the architecture says it, unless the file does. */
static int read_truncate(struct rope_params *p, const struct gguf *g, const struct arch *arch, struct error *e)
{
	char key[KEY_BYTES];
	int r;

	snprintf(key, sizeof(key), "%s.rope.scaling.yarn_truncate", arch->name);
	p->is_truncated = !arch->has_exact_yarn;
	r = gguf_get_bool(g, key, &p->is_truncated);
	return r < 0 && r != -ENOENT ? error_set(e, -EINVAL, "%s is not a boolean", key) : 0;
}

/* Files of models that have the factor in their configuration say it again. */
static int check_yarn_attn(const struct rope_params *p, const struct gguf *g, const char *arch, struct error *e)
{
	float said = 1, scale = (float)yarn_scale(p);
	int r = get_f32(g, arch, "scaling.yarn_attn_factor", &said, 1e-3f, 1e3f, e);

	if (r < 0 || said == 1 || (said > 0.999f * scale && said < 1.001f * scale))
		return r;
	return error_set(
		e, -ENOTSUP,
		"%s.rope.scaling.yarn_attn_factor is not 1 or %g, the only values that gyre computes; use another "
		"model",
		arch, (double)scale);
}

static int read_params(struct rope_params *p, const struct gguf *g, const char *arch, uint32_t n_ctx_train,
		       struct error *e)
{
	char key[KEY_BYTES];
	int r;

	*p = (struct rope_params){ .base = 10000, .factor = 1, .beta_fast = 32, .beta_slow = 1, .attn_factor = 1 };
	const struct {
		const char *name;
		float *v, min, max;
	} want[] = {
		{ "freq_base", &p->base, BASE_MIN, BASE_MAX },
		{ "scale_linear", &p->factor, 0, 1e6f },
		{ "scaling.factor", &p->factor, 0, 1e6f },
		{ "scaling.yarn_beta_fast", &p->beta_fast, 1e-3f, 1e6f },
		{ "scaling.yarn_beta_slow", &p->beta_slow, 1e-3f, 1e6f },
		{ "scaling.attn_factor", &p->attn_factor, 1e-3f, 1e3f },
		{ "scaling.yarn_log_multiplier", &p->log_mul, 0, 1e3f },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		r = get_f32(g, arch, want[i].name, want[i].v, want[i].min, want[i].max, e);
		if (r < 0)
			return r;
	}
	if (p->factor == 0)
		p->factor = 1; /* as good as absent */
	if (p->factor < 1e-3f)
		return error_set(e, -EINVAL, "%s.rope.scaling.factor is not 0 or a number in 0.001..1000000", arch);
	snprintf(key, sizeof(key), "%s.rope.scaling.original_context_length", arch);
	r = gguf_get_u32(g, key, &p->n_ctx_orig);
	if (r < 0 && r != -ENOENT)
		return error_set(e, -EINVAL, "%s is not an unsigned number", key);
	if (r == -ENOENT || p->n_ctx_orig == 0)
		p->n_ctx_orig = n_ctx_train;
	r = read_type(p, g, arch, e);
	return r == 0 ? check_yarn_attn(p, g, arch, e) : r;
}

/* The pair that turns n_turn times over the original context (Peng et al. 2023, section 3.2). */
static double yarn_pair(const struct rope_params *p, uint32_t n_rot, double n_turn)
{
	return n_rot * f64_log(p->n_ctx_orig / (n_turn * 2 * PI)) / (2 * f64_log(p->base));
}

static double clamp(double x, double min, double max)
{
	return x < min ? min : x > max ? max : x;
}

/* How much of pair i keeps its frequency: 1 below the fast bound, 0 above the slow one. */
static double yarn_keep(const struct rope_params *p, uint32_t n_rot, uint32_t i)
{
	double low = yarn_pair(p, n_rot, p->beta_fast), high = yarn_pair(p, n_rot, p->beta_slow);

	low = low < 0 ? 0 : low;
	high = high < 0 ? 0 : high;
	if (p->is_truncated) {
		low = (double)(int64_t)low;
		high = (double)(int64_t)high + (high > (double)(int64_t)high);
	}
	high = high > n_rot - 1 ? n_rot - 1 : high;
	return 1 - clamp((i - low) / (high - low > 0.001 ? high - low : 0.001), 0, 1);
}

static double frequency(const struct rope_params *p, uint32_t n_rot, uint32_t i, const float *freq_factor)
{
	double f = f64_exp(-2.0 * i / n_rot * f64_log(p->base)), keep;

	if (freq_factor)
		f /= freq_factor[i];
	if (p->type == ROPE_LINEAR)
		return f / p->factor;
	if (p->type != ROPE_YARN)
		return f;
	keep = yarn_keep(p, n_rot, i);
	return f / p->factor * (1 - keep) + f * keep;
}

static void fill(struct rope *r, const struct rope_params *p, uint32_t n_ctx, const float *freq_factor)
{
	double scale = p->attn_factor * yarn_scale(p);
	uint32_t n_pair = r->n_rot / 2;

	for (uint32_t i = 0; i < n_pair; i++) {
		double f = frequency(p, r->n_rot, i, freq_factor);

		for (uint32_t pos = 0; pos < n_ctx; pos++) {
			double s, c;

			f64_sincos(pos * f, &s, &c);
			r->cos[(size_t)pos * n_pair + i] = (float)(c * scale);
			r->sin[(size_t)pos * n_pair + i] = (float)(s * scale);
		}
	}
}

/*
 * The tensor with what each pair's frequency is divided by; NULL: there is none. LongRoPE (Ding et al. 2024) has two, one of them for models
 * that were made longer than they once were. Which, the file says, and not how long a context is asked for: a sequence has the same logits
 * in any.
 */
static const char *factors_of(struct tensors *t, const struct rope_params *p)
{
	bool has_long = tensors_find(t, "rope_factors_long.weight"),
	     has_short = tensors_find(t, "rope_factors_short.weight");

	if (has_long || has_short || p->type == ROPE_LONG)
		return t->m->hp.n_ctx_train > p->n_ctx_orig ? "rope_factors_long.weight" : "rope_factors_short.weight";
	return tensors_find(t, "rope_freqs.weight") ? "rope_freqs.weight" : NULL;
}

static int read_factors(struct tensors *t, const struct rope_params *p, const float **factor, struct error *e)
{
	const char *name = factors_of(t, p);
	uint32_t n_pair = t->m->hp.n_rot / 2;
	const struct tensor *freqs;

	*factor = NULL;
	if (!name)
		return 0;
	freqs = tensors_vector(t, name, n_pair, e);
	if (!freqs)
		return -EINVAL;
	*factor = freqs->part[0].data;
	for (uint32_t i = 0; i < n_pair; i++)
		if (!((*factor)[i] >= 1e-3f && (*factor)[i] <= FREQ_FACTOR_MAX))
			return error_set(e, -EINVAL, "%s[%u] is not a number in 0.001..1e30", name, i);
	return 0;
}

static int open_table(struct rope *rope, const struct model *m, const struct rope_params *p, const float *freq_factor,
		      struct error *e)
{
	size_t n = (size_t)m->n_ctx * (rope->n_rot / 2);

	rope->cos = calloc(n, sizeof(*rope->cos));
	rope->sin = calloc(n, sizeof(*rope->sin));
	if (!rope->cos || !rope->sin)
		return error_set(e, -ENOMEM, "no memory for the rotary tables of %u positions: lower the context",
				 m->n_ctx);
	fill(rope, p, m->n_ctx, freq_factor);
	return 0;
}

static bool has_window_table(const struct model *m, uint32_t layer)
{
	return m->arch->has_window_rope && hparams_window(&m->hp, layer);
}

/* Of layers with a window, which see no more positions than the model was made for: their frequencies are not scaled. */
static int open_window_table(struct tensors *t, enum rope_pairs pairs, float base, struct error *e)
{
	struct model *m = t->m;
	struct rope_params p = { .type = ROPE_NONE, .factor = 1, .attn_factor = 1 };
	int r;

	p.base = m->arch->window_base != 0 ? m->arch->window_base : base;
	r = get_f32(t->w->gguf, m->arch->name, "freq_base_swa", &p.base, BASE_MIN, BASE_MAX, e);
	m->rope[ROPE_WINDOW_LAYERS] = (struct rope){ .pairs = pairs };
	m->rope[ROPE_WINDOW_LAYERS].n_rot = m->hp.window_heads.head_dim ? m->hp.window_heads.n_rot : m->hp.n_rot;
	return r == 0 ? open_table(&m->rope[ROPE_WINDOW_LAYERS], m, &p, NULL, e) : r;
}

int rope_open(struct tensors *t, enum rope_pairs pairs, struct error *e)
{
	struct model *m = t->m;
	const float *freq_factor = NULL;
	struct rope_params p;
	bool has_window = false;
	int r = read_params(&p, t->w->gguf, m->arch->name, m->hp.n_ctx_train, e);

	if (r == 0)
		r = read_factors(t, &p, &freq_factor, e);
	if (r == 0)
		r = read_truncate(&p, t->w->gguf, m->arch, e);
	if (r < 0)
		return r;
	m->rope[ROPE_LAYERS] = (struct rope){ .n_rot = m->hp.n_rot, .pairs = pairs };
	r = open_table(&m->rope[ROPE_LAYERS], m, &p, freq_factor, e);
	for (uint32_t i = 0; i < m->hp.n_layer; i++)
		has_window |= has_window_table(m, i);
	return r == 0 && has_window ? open_window_table(t, pairs, p.base, e) : r;
}

void rope_deinit(struct rope *r)
{
	free(r->cos);
	free(r->sin);
}

const struct rope *rope_of(const struct model *m, uint32_t layer)
{
	if (!(m->hp.kind[layer] & LAYER_TURN))
		return NULL;
	return &m->rope[has_window_table(m, layer) ? ROPE_WINDOW_LAYERS : ROPE_LAYERS];
}
