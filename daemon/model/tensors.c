#include "daemon/model/arch.h"

#include <errno.h>

const struct tensor *tensor_matrix(const struct model *m, const struct weights *w, const char *name,
				   enum plan_axis axis, struct error *e)
{
	const struct tensor *t = weights_find(w, name);
	bool is_by_columns = plan_sum(&w->plan, axis);
	uint32_t n_row = is_by_columns ? m->hp.n_embd : plan_extent(&w->plan, axis);
	uint32_t n_col = is_by_columns ? plan_extent(&w->plan, axis) : m->hp.n_embd;

	if (!t) {
		error_set(e, -EINVAL, "the file has no tensor %s", name);
		return NULL;
	}
	if (t->is_vector || t->n_row != n_row || t->n_col != n_col) {
		error_set(e, -EINVAL, "tensor %s is %s[%u][%u]; the metadata ask for [%u][%u]", name,
			  t->is_vector ? "a vector, " : "", t->n_row, t->n_col, n_row, n_col);
		return NULL;
	}
	if (t->type >= QUANT_TYPE_MAX || !quant_info(t->type) || !m->k->matmul[t->type]) {
		error_set(e, -ENOTSUP, "tensor %s has type %u, which gyre cannot multiply", name, t->type);
		return NULL;
	}
	/* Only columns that are not whole blocks of a chunk keep a matrix of the right shape whole. */
	if (t->axis != axis) {
		error_set(
			e, -ENOTSUP,
			"tensor %s has type %s, whose blocks do not divide as the model's other layers do; quantize it "
			"again with one type for all layers",
			name, quant_info(t->type)->name);
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
	if (!t->is_vector || t->n_col != n_col) {
		error_set(e, -EINVAL, "tensor %s is %s[%u][%u]; the metadata ask for a vector of %u", name,
			  t->is_vector ? "a vector, " : "", t->n_row, t->n_col, n_col);
		return NULL;
	}
	return t;
}
