#include "daemon/model/arch.h"

#include <errno.h>

const struct tensor *tensor_matrix(const struct model *m, const struct weights *w, const char *name, uint32_t n_row,
				   uint32_t n_col, struct error *e)
{
	const struct tensor *t = weights_find(w, name);

	if (!t) {
		error_set(e, -EINVAL, "the file has no tensor %s", name);
		return NULL;
	}
	if (t->n_row != n_row || t->n_col != n_col) {
		error_set(e, -EINVAL, "tensor %s is [%u][%u]; the metadata ask for [%u][%u]", name, t->n_row, t->n_col,
			  n_row, n_col);
		return NULL;
	}
	if (t->type >= QUANT_TYPE_MAX || !quant_info(t->type) || !m->k->matmul[t->type]) {
		error_set(e, -ENOTSUP, "tensor %s has type %u, which gyre cannot multiply", name, t->type);
		return NULL;
	}
	return t;
}

const struct tensor *tensor_vector(const struct weights *w, const char *name, uint32_t n_col, struct error *e)
{
	const struct tensor *t = weights_find(w, name);

	if (!t) {
		error_set(e, -EINVAL, "the file has no tensor %s", name);
		return NULL;
	}
	if (t->n_row != 1 || t->n_col != n_col || t->type != QUANT_F32) {
		error_set(e, -EINVAL, "tensor %s is [%u][%u] of type %u; the metadata ask for [%u] of type F32", name,
			  t->n_row, t->n_col, t->type, n_col);
		return NULL;
	}
	return t;
}
