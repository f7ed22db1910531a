/*
 * See cut.h. What the parts of a tensor are is known from the architecture's table and the metadata alone, so a file with tensors in one
 * piece and one with them apart give the same model.
 */
#include "daemon/model/cut.h"

#include "daemon/model/arch.h"
#include "daemon/model/hparams.h"
#include "daemon/util/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cut cut_gate_up = {
	"ffn_up",
	.part = { { "ffn_gate", VECTOR_FF }, { "ffn_up", VECTOR_FF } },
};

const struct cut cut_q_gate = {
	"attn_q",
	.is_by_head = true,
	.part = { { "attn_q", VECTOR_HEADS }, { "attn_q_gate", VECTOR_HEADS } },
};

/* Any architecture's file may have these. */
static const struct cut common[] = {
	{ "attn_qkv",
	  .part = { { "attn_q", VECTOR_HEADS }, { "attn_k", VECTOR_HEADS_KV }, { "attn_v", VECTOR_HEADS_KV } } },
	{ "ffn_gate_up_exps", .part = { { "ffn_gate_exps", VECTOR_FF_EXPERT }, { "ffn_up_exps", VECTOR_FF_EXPERT } } },
};

#define N_COMMON (sizeof(common) / sizeof(common[0]))

/* A tensor of a layer, by its name: blk.<layer>.<stem>.weight, or .bias */
struct name {
	uint32_t layer;
	char stem[GGUF_NAME_MAX + 1];
	const char *suffix;
};

struct pieces {
	struct gguf_piece *piece; /* [n], of which the names are own */
	size_t n;
};

static void pieces_free(struct pieces *p)
{
	while (p->n)
		free((char *)p->piece[--p->n].name);
	free(p->piece);
}

/* false: it is no layer's. */
static bool name_read(struct name *n, struct gguf_str s)
{
	static const char *const suffix[] = { ".weight", ".bias" };
	char text[GGUF_NAME_MAX + 1];
	int at = 0;

	snprintf(text, sizeof(text), "%.*s", (int)s.n, s.p);
	n->suffix = "";
	n->stem[0] = '\0';
	if (strlen(text) != s.n || sscanf(text, "blk.%9u.%n", &n->layer, &at) < 1 || !at)
		return false;
	snprintf(n->stem, sizeof(n->stem), "%s", text + at);
	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(n->stem), tail = strlen(suffix[i]);

		if (len > tail && !strcmp(n->stem + len - tail, suffix[i])) {
			n->stem[len - tail] = '\0';
			n->suffix = suffix[i];
			break;
		}
	}
	return true;
}

static bool has_row(const struct arch *arch, uint8_t kind, const char *stem, const char *suffix)
{
	char name[2 * GGUF_NAME_MAX];

	snprintf(name, sizeof(name), "%s%s", stem, suffix);
	for (size_t i = 0; i < arch->n_tensor; i++)
		if (!strcmp(arch->tensor[i].name, name) && (!arch->tensor[i].in || arch->tensor[i].in & kind))
			return true;
	return false;
}

static uint32_t n_part(const struct cut *c)
{
	uint32_t n = 0;

	while (n < CUT_PARTS && c->part[n].name)
		n++;
	return n;
}

static bool is_part(const struct cut *c, const char *stem)
{
	for (uint32_t i = 0; i < n_part(c); i++)
		if (!strcmp(c->part[i].name, stem))
			return true;
	return false;
}

/* Whether a layer of this kind has the parts, and a tensor of the whole's name is not one of its own. */
static bool applies(const struct cut *c, const struct arch *arch, uint8_t kind, const struct name *name)
{
	if (!*name->suffix || strcmp(c->of, name->stem))
		return false;
	if (!is_part(c, c->of) && has_row(arch, kind, c->of, name->suffix))
		return false;
	for (uint32_t i = 0; i < n_part(c); i++)
		if (!has_row(arch, kind, c->part[i].name, name->suffix))
			return false;
	return true;
}

static const struct cut *find(const struct arch *arch, uint8_t kind, const struct name *name)
{
	if (arch->cut && applies(arch->cut, arch, kind, name))
		return arch->cut;
	for (size_t i = 0; i < N_COMMON; i++)
		if (applies(&common[i], arch, kind, name))
			return &common[i];
	return NULL;
}

static uint64_t n_row(const struct gguf_tensor *t)
{
	return t->n_dim < 2 ? t->ne[0] : t->ne[1];
}

/* Appends what takes t's place; stem NULL: nothing does. */
static int add(struct pieces *p, struct gguf_piece piece, const struct name *n, const char *stem, struct error *e)
{
	struct gguf_piece *more = realloc(p->piece, (p->n + 1) * sizeof(*more));
	char *name = NULL;

	if (more)
		p->piece = more;
	if (!more || (stem && asprintf(&name, "blk.%u.%s%s", n->layer, stem, n->suffix) < 0))
		return error_set(e, -ENOMEM, "no memory for a list of tensors; free some memory");
	piece.name = name;
	p->piece[p->n++] = piece;
	return 0;
}

static int cut_one(struct pieces *p, const struct gguf_tensor *t, const struct name *name, const struct cut *c,
		   const struct hparams *hp, struct error *e)
{
	uint64_t sum = 0, at = 0, n_turn = c->is_by_head ? hp->n_head : 1;
	int r = 0;

	for (uint32_t i = 0; i < n_part(c); i++)
		sum += tensors_width(hp, c->part[i].n_row);
	if (n_row(t) != sum && is_part(c, c->of)) /* it is that part, apart; or is refused for its shape */
		return 0;
	if (n_row(t) != sum)
		return error_set(e, -EINVAL, "tensor %.*s has %llu rows; the metadata ask for %llu", (int)t->name.n,
				 t->name.p, (unsigned long long)n_row(t), (unsigned long long)sum);
	for (uint32_t i = 0; i < n_part(c) && r == 0; i++) {
		uint64_t take = tensors_width(hp, c->part[i].n_row) / n_turn;

		r = add(p, (struct gguf_piece){ t, NULL, at, take, sum / n_turn }, name, c->part[i].name, e);
		at += take;
	}
	return r;
}

/* Images and sound come in beside the text, of which gyre has none. */
static bool is_of_other_senses(struct gguf_str name)
{
	static const char *const prefix[] = { "v.", "a.", "mm." };

	for (size_t i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++)
		if (name.n > strlen(prefix[i]) && !memcmp(name.p, prefix[i], strlen(prefix[i])))
			return true;
	return false;
}

static int look_at(struct pieces *p, const struct gguf_tensor *t, const struct arch *arch, const struct hparams *hp,
		   struct error *e)
{
	struct name name;
	bool is_of_layer = name_read(&name, t->name);
	const struct cut *c = NULL;
	struct hparams own;

	if (is_of_other_senses(t->name) ||
	    (is_of_layer && name.layer >= hp->n_layer && name.layer - hp->n_layer < hp->n_nextn))
		return add(p, (struct gguf_piece){ t, NULL, 0, 0, 0 }, &name, NULL, e);
	if (is_of_layer && name.layer < hp->n_layer && !t->is_piece)
		c = find(arch, hp->kind[name.layer], &name);
	if (!c)
		return 0;
	own = hparams_of_layer(hp, name.layer);
	return cut_one(p, t, &name, c, &own, e);
}

int cut_tensors(struct gguf *g, const struct arch *arch, const struct hparams *hp, struct error *e)
{
	_cleanup_(pieces_free) struct pieces p = { 0 };
	int r = 0;

	for (size_t i = 0; i < gguf_n_tensor(g) && r == 0; i++)
		r = look_at(&p, gguf_tensor_at(g, i), arch, hp, e);
	return r == 0 ? gguf_cut(g, p.piece, p.n, e) : r;
}
