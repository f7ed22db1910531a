/*
 * Tensors of the model that are rows of one tensor of the file (gguf.h: struct gguf_piece). What the pieces are is the caller's
 * knowledge; here it is checked that their bytes are the tensor's, however the caller came to his numbers.
 */
#include "daemon/gguf/gguf_own.h"

#include "kernels/quant.h"

struct cut {
	struct gguf_tensor *tensor; /* [n_tensor] the new table */
	size_t n_tensor;
	struct gguf_tensor *left_out;
	size_t n_left_out;
};

static bool is_vector(const struct gguf_tensor *t)
{
	return t->n_dim < 2;
}

/* Rows of each matrix, or numbers of a vector. */
static uint64_t n_row(const struct gguf_tensor *t)
{
	return is_vector(t) ? t->ne[0] : t->ne[1];
}

/* A type that gyre does not know has no bytes, and is refused by whoever wants its data. */
static uint64_t row_bytes(const struct gguf_tensor *t)
{
	return t->bytes / (t->ne[1] * t->ne[2] * t->ne[3]) / (is_vector(t) ? t->ne[0] : 1);
}

static int check(const struct gguf_piece *p, struct error *e)
{
	const struct gguf_tensor *t = p->of;
	const struct quant_info *q = quant_info(t->type);

	if (is_vector(t) && q && q->block_len > 1)
		return error_set(e, -ENOTSUP,
				 "tensor '%.*s' is a vector of %s, in blocks that cannot be cut into %s and others; "
				 "convert the model again",
				 NAME(t->name), q->name, p->name);
	if (t->is_piece || !p->take || p->first > p->period || p->take > p->period - p->first || n_row(t) % p->period)
		return error_set(
			e, -EINVAL,
			"tensor '%.*s' of %llu rows cannot have %s in it, %llu of every %llu rows from the %llu-th on; "
			"the file is damaged, or of a model that gyre does not read",
			NAME(t->name), (unsigned long long)n_row(t), p->name, (unsigned long long)p->take,
			(unsigned long long)p->period, (unsigned long long)p->first);
	return 0;
}

static int give_name(struct gguf *g, struct gguf_tensor *t, const char *name, struct error *e)
{
	char **more = realloc(g->name, (g->n_name + 1) * sizeof(*more));
	char *own = strndup(name, GGUF_NAME_MAX);

	if (more)
		g->name = more;
	if (!more || !own) {
		free(own);
		return error_set(e, -ENOMEM, "out of memory cutting tensors; free some memory");
	}
	g->name[g->n_name++] = own;
	t->name = (struct gguf_str){ own, strlen(own) };
	return 0;
}

/* Appends a piece to the new table, or its tensor to what is left out. */
static int add_piece(struct gguf *g, struct cut *c, const struct gguf_piece *p, struct error *e)
{
	struct gguf_tensor *t = &c->tensor[c->n_tensor];
	uint64_t n_period;
	int r;

	if (!p->name) {
		c->left_out[c->n_left_out++] = *p->of;
		return 0;
	}
	r = check(p, e);
	if (r)
		return r;
	*t = *p->of;
	n_period = n_row(t) / p->period;
	t->bytes = row_bytes(p->of) * p->take * n_period;
	t->offset += row_bytes(p->of) * p->first;
	if (is_vector(t)) {
		t->ne[0] = p->take * n_period;
	} else {
		t->bytes *= t->ne[2] * t->ne[3];
		t->ne[1] = p->take * n_period;
	}
	if (n_period * t->ne[2] * t->ne[3] > 1) {
		t->run = p->take;
		t->gap = p->period - p->take;
	}
	t->is_piece = true;
	c->n_tensor++;
	return give_name(g, t, p->name, e);
}

/* The new table: a tensor that no piece is of stays. */
static int add_all(struct gguf *g, struct cut *c, const struct gguf_piece *piece, size_t n, struct error *e)
{
	size_t next = 0;

	for (size_t i = 0; i < g->n_tensor; i++) {
		if (next == n || piece[next].of != &g->tensor[i]) {
			c->tensor[c->n_tensor++] = g->tensor[i];
			continue;
		}
		while (next < n && piece[next].of == &g->tensor[i]) {
			int r = add_piece(g, c, &piece[next++], e);

			if (r)
				return r;
		}
	}
	return next == n ? 0 : error_set(e, -EINVAL, "pieces of tensors in another order than the tensors");
}

static void cut_free(struct cut *c)
{
	free(c->tensor);
	free(c->left_out);
}

/* Puts the new table in the place of the old one. */
static int take_over(struct gguf *g, struct cut *c, struct error *e)
{
	const struct gguf_tensor **by_name = calloc(c->n_tensor + 1, sizeof(*by_name));

	if (!by_name)
		return error_set(e, -ENOMEM, "out of memory cutting tensors; free some memory");
	free(g->tensor_by_name);
	free(g->tensor);
	free(g->left_out);
	g->tensor_by_name = by_name;
	g->tensor = steal_ptr(c->tensor);
	g->n_tensor = c->n_tensor;
	g->left_out = steal_ptr(c->left_out);
	g->n_left_out = c->n_left_out;
	return gguf_index_names(g, e);
}

int gguf_cut(struct gguf *g, const struct gguf_piece *piece, size_t n, struct error *e)
{
	_cleanup_(cut_free) struct cut c = { 0 };
	int r;

	if (!n)
		return 0;
	if (n > GGUF_TENSOR_MAX || g->n_tensor + n > GGUF_TENSOR_MAX)
		return error_set(e, -EINVAL, "more than %u tensors, cut as this architecture has them: " DAMAGED,
				 GGUF_TENSOR_MAX);
	c.tensor = calloc(g->n_tensor + n + 1, sizeof(*c.tensor));
	c.left_out = calloc(g->n_left_out + n + 1, sizeof(*c.left_out));
	if (!c.tensor || !c.left_out)
		return error_set(e, -ENOMEM, "out of memory cutting tensors; free some memory");
	for (; c.n_left_out < g->n_left_out; c.n_left_out++)
		c.left_out[c.n_left_out] = g->left_out[c.n_left_out];
	r = add_all(g, &c, piece, n, e);
	return r ? r : take_over(g, &c, e);
}

size_t gguf_n_left_out(const struct gguf *g)
{
	return g->n_left_out;
}

const struct gguf_tensor *gguf_left_out_at(const struct gguf *g, size_t i)
{
	return &g->left_out[i];
}
