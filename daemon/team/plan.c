#include "daemon/team/plan.h"
#include "daemon/team/team.h"
#include "daemon/util/minmax.h"

#include <errno.h>

#define PANEL 16u /* rows are dealt out in whole panels (kernels/quant.h) */

/* The i-th of n even shares of n_items. */
static struct plan_range share(uint32_t n_items, uint32_t n, uint32_t i)
{
	size_t begin, end;

	team_range(n_items, (int)n, (int)i, 1, &begin, &end);
	return (struct plan_range){ (uint32_t)begin, (uint32_t)end };
}

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
	return (a + b - 1) / b;
}

uint32_t plan_mid(uint32_t begin, uint32_t end)
{
	uint32_t n = 1;

	while (2 * n < end - begin)
		n *= 2;
	return begin + n;
}

/* Appends the largest subtrees of [begin, end) that lie within `own`. */
static void cover(struct plan_sum *s, uint32_t begin, uint32_t end, struct plan_range own)
{
	if (own.begin <= begin && end <= own.end) {
		s->partial[s->n_partial++] = (struct plan_range){ begin, end };
	} else if (own.begin < end && begin < own.end) {
		cover(s, begin, plan_mid(begin, end), own);
		cover(s, plan_mid(begin, end), end, own);
	}
}

/* A node's chunks; nodes come in order. */
static void give_chunks(struct plan_sum *s, uint32_t node, struct plan_range own)
{
	uint32_t begin = s->n_partial;

	if (own.begin < own.end)
		cover(s, 0, s->n_chunk, own);
	s->node[node] = (struct plan_share){ .col = { s->cut[own.begin], s->cut[own.end] },
					     .partial = { begin, s->n_partial } };
}

/* Heads whose columns are whole blocks. */
static uint32_t unit_heads(const struct plan_shape *s)
{
	uint32_t n = 1;

	while (n < s->n_head && (n * s->head_dim % s->head_block || n * s->head_dim_2 % s->head_block))
		n++;
	return s->n_head % n ? s->n_head : n;
}

/* Where KV heads are few each is cut into equal parts; returns how many, 0: chunks do not follow KV heads one by one. */
static uint32_t cut_heads(struct plan_sum *sum, const struct plan_shape *s)
{
	uint32_t unit = unit_heads(s), n_rep = s->n_head / s->n_head_kv, n_part = 0, i;
	bool is_whole = n_rep % unit == 0; /* a KV head's columns are whole units */

	if (is_whole && s->n_head_kv < PLAN_CHUNKS)
		n_part = min_u32(ceil_div(PLAN_CHUNKS, s->n_head_kv), n_rep / unit);
	if (n_part) {
		sum->n_chunk = s->n_head_kv * n_part;
		for (i = 0; i < sum->n_chunk; i++)
			sum->cut[i] = i / n_part * n_rep + share(n_rep / unit, n_part, i % n_part).begin * unit;
	} else {
		unit = is_whole ? n_rep : unit;
		sum->n_chunk = min_u32(s->n_head / unit, PLAN_CHUNKS);
		for (i = 0; i < sum->n_chunk; i++)
			sum->cut[i] = share(s->n_head / unit, sum->n_chunk, i).begin * unit;
	}
	for (i = 0; i < sum->n_chunk; i++)
		sum->cut[i] *= s->head_dim;
	sum->cut[sum->n_chunk] = s->n_head * s->head_dim;
	return n_part;
}

static void cut_ff(struct plan_sum *sum, uint32_t n_ff, uint32_t block)
{
	uint32_t unit = max_u32(block, PANEL), n_unit = ceil_div(n_ff, unit);

	sum->n_chunk = min_u32(n_unit, PLAN_CHUNKS);
	for (uint32_t i = 0; i < sum->n_chunk; i++)
		sum->cut[i] = share(n_unit, sum->n_chunk, i).begin * unit;
	sum->cut[sum->n_chunk] = n_ff;
}

/* Whole KV heads where there are enough of them; else chunks, and nodes that share a KV head each have it. */
static struct plan_range head_chunks(const struct plan *p, uint32_t n_part, uint32_t node)
{
	struct plan_range r;

	if (!n_part || p->n_node > p->shape.n_head_kv)
		return share(p->head.n_chunk, p->n_node, node);
	r = share(p->shape.n_head_kv, p->n_node, node);
	return (struct plan_range){ r.begin * n_part, r.end * n_part };
}

/* The KV heads of query heads, n_rep of which share one. */
static struct plan_range kv_heads(struct plan_range head, uint32_t n_rep)
{
	uint32_t begin = head.begin / n_rep;

	return (struct plan_range){ begin, head.begin == head.end ? begin : ceil_div(head.end, n_rep) };
}

static void deal_heads(struct plan *p, uint32_t n_part, uint32_t node)
{
	const struct plan_shape *s = &p->shape;
	struct plan_range chunks = head_chunks(p, n_part, node);
	struct plan_node *n = &p->node[node];

	give_chunks(&p->head, node, chunks);
	n->head.begin = p->head.node[node].col.begin / s->head_dim;
	n->head.end = p->head.node[node].col.end / s->head_dim;
	n->head_kv = kv_heads(n->head, s->n_head / s->n_head_kv);
	if (!s->head_dim_2)
		return;
	give_chunks(&p->head_2, node, chunks);
	n->head_kv_2 = kv_heads(n->head, s->n_head / s->n_head_kv_2);
}

/* The same heads in each chunk, of other dimensions. */
static void cut_second(struct plan *p)
{
	p->head_2.n_chunk = p->head.n_chunk;
	for (uint32_t i = 0; i <= p->head.n_chunk; i++)
		p->head_2.cut[i] = p->head.cut[i] / p->shape.head_dim * p->shape.head_dim_2;
}

static void deal(struct plan *p, uint32_t n_part, uint32_t node)
{
	const struct plan_shape *s = &p->shape;
	uint32_t n_range = ceil_div(s->n_vocab, PLAN_VOCAB_RANGE);
	struct plan_node *n = &p->node[node];
	struct plan_range vocab = share(n_range, p->n_node, node);

	if (s->n_head)
		deal_heads(p, n_part, node);
	give_chunks(&p->ff, node, share(p->ff.n_chunk, p->n_node, node));
	n->ff = p->ff.node[node].col;
	n->vocab.begin = min_u32(vocab.begin * PLAN_VOCAB_RANGE, s->n_vocab);
	n->vocab.end = min_u32(vocab.end * PLAN_VOCAB_RANGE, s->n_vocab);
}

int plan_make(struct plan *p, const struct plan_shape *s, uint32_t n_node, struct error *e)
{
	uint32_t n_part;

	*p = (struct plan){ .shape = *s, .n_node = n_node };
	n_part = s->n_head ? cut_heads(&p->head, s) : 0;
	if (s->head_dim_2)
		cut_second(p);
	cut_ff(&p->ff, s->n_ff, s->ff_block);
	p->row = (struct plan_sum){ .n_chunk = 1, .cut = { 0, s->n_embd }, .n_partial = 1, .partial = { { 0, 1 } } };
	if (n_node < 1 || n_node > (s->n_ff ? p->ff.n_chunk : NODE_MAX) || n_node > NODE_MAX)
		return error_set(e, -E2BIG,
				 "%u nodes: this model can be divided between 1..%u (its feed-forward of %u columns "
				 "goes in blocks "
				 "of %u); lower --nodes",
				 n_node, p->ff.n_chunk, s->n_ff, max_u32(s->ff_block, PANEL));
	for (uint32_t i = 0; i < n_node; i++)
		deal(p, n_part, i);
	return 0;
}

struct plan_range plan_row_share(const struct plan *p, uint32_t n_row, uint32_t node)
{
	struct plan_range r = share(ceil_div(n_row, PANEL), p->n_node, node);

	return (struct plan_range){ min_u32(r.begin * PANEL, n_row), min_u32(r.end * PANEL, n_row) };
}

struct plan_range plan_rows(const struct plan *p, enum plan_axis axis, uint32_t node)
{
	const struct plan_node *n = &p->node[node];
	uint32_t dim = p->shape.head_dim, dim_2 = p->shape.head_dim_2;

	switch (axis) {
	case PLAN_HEAD:
		return (struct plan_range){ n->head.begin * dim, n->head.end * dim };
	case PLAN_HEAD_KV:
		return (struct plan_range){ n->head_kv.begin * dim, n->head_kv.end * dim };
	case PLAN_HEAD_2:
		return (struct plan_range){ n->head.begin * dim_2, n->head.end * dim_2 };
	case PLAN_HEAD_KV_2:
		return (struct plan_range){ n->head_kv_2.begin * dim_2, n->head_kv_2.end * dim_2 };
	case PLAN_FF:
		return n->ff;
	case PLAN_VOCAB:
		return n->vocab;
	default:
		return (struct plan_range){ 0, 0 };
	}
}

uint32_t plan_extent(const struct plan *p, enum plan_axis axis)
{
	const struct plan_shape *s = &p->shape;

	switch (axis) {
	case PLAN_HEAD:
	case PLAN_HEAD_K:
		return s->n_head * s->head_dim;
	case PLAN_HEAD_KV:
		return s->n_head_kv * s->head_dim;
	case PLAN_HEAD_2:
	case PLAN_HEAD_K_2:
		return s->n_head * s->head_dim_2;
	case PLAN_HEAD_KV_2:
		return s->n_head_kv_2 * s->head_dim_2;
	case PLAN_FF:
	case PLAN_FF_K:
		return s->n_ff;
	case PLAN_VOCAB:
		return s->n_vocab;
	default:
		return 0;
	}
}

const struct plan_sum *plan_sum(const struct plan *p, enum plan_axis axis)
{
	switch (axis) {
	case PLAN_HEAD_K:
		return &p->head;
	case PLAN_HEAD_K_2:
		return &p->head_2;
	case PLAN_FF_K:
		return &p->ff;
	default:
		return NULL;
	}
}

enum plan_axis plan_axis_of(const struct plan *p, uint32_t layer, enum plan_axis axis)
{
	if (layer >= PLAN_LAYER_MAX || !(p->second[layer / 64] >> layer % 64 & 1))
		return axis;
	return axis == PLAN_HEAD      ? PLAN_HEAD_2
	       : axis == PLAN_HEAD_KV ? PLAN_HEAD_KV_2
	       : axis == PLAN_HEAD_K  ? PLAN_HEAD_K_2
				      : axis;
}

uint32_t plan_partial_node(const struct plan_sum *s, uint32_t partial)
{
	uint32_t i = 0;

	while (partial >= s->node[i].partial.end)
		i++;
	return i;
}

static double over_mean(double most, double all, uint32_t n_node)
{
	return all > 0 ? most * n_node / all : 1;
}

struct plan_balance plan_balance(const struct plan *p)
{
	uint32_t head = 0, ff = 0, vocab = 0, expert = 0, n_kv = 0;

	for (uint32_t i = 0; i < p->n_node; i++) {
		const struct plan_node *n = &p->node[i];
		struct plan_range own = plan_row_share(p, p->shape.n_ff_expert, i);

		head = max_u32(head, n->head.end - n->head.begin);
		ff = max_u32(ff, n->ff.end - n->ff.begin);
		vocab = max_u32(vocab, n->vocab.end - n->vocab.begin);
		expert = max_u32(expert, own.end - own.begin);
		n_kv += n->head_kv.end - n->head_kv.begin;
	}
	return (struct plan_balance){ .head = over_mean(head, p->shape.n_head, p->n_node),
				      .ff = over_mean(ff, p->shape.n_ff, p->n_node),
				      .vocab = over_mean(vocab, p->shape.n_vocab, p->n_node),
				      .expert = over_mean(expert, p->shape.n_ff_expert, p->n_node),
				      .n_copied = n_kv - p->shape.n_head_kv };
}
