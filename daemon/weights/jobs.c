/*
 * See places.h. A job is what one read takes and one worker packs: about LOADER_JOB_BYTES of consecutive rows of a matrix, or as many
 * small experts as that holds.
 */
#include "daemon/weights/places.h"

#include "daemon/util/minmax.h"
#include "kernels/quant.h"

#include <errno.h>
#include <stdlib.h>

struct job_list {
	struct loader_job *job; /* NULL: they are only counted */
	size_t n;
};

/* One tensor, in the file and in the pools. */
struct source {
	const struct gguf_tensor *g;
	const struct tensor *t;
	uint64_t row_bytes, expert_bytes;
};

/* job: which rows, experts and parts. */
static void add_job(struct job_list *l, const struct source *s, struct loader_job job)
{
	if (l->job) {
		uint32_t n_row = s->t->is_vector ? 1 : job.n_row;

		job.name = s->g->name.p;
		job.name_len = (uint32_t)s->g->name.n;
		job.file = s->g->file;
		job.offset = s->g->offset + job.expert * s->expert_bytes + job.row0 * s->row_bytes;
		job.bytes = (uint32_t)(job.n_expert * n_row * s->row_bytes);
		job.type = s->g->type;
		job.n_col = s->t->n_col;
		l->job[l->n] = job;
	}
	l->n++;
}

/* Rows [begin, end) of one expert, or of a matrix, which all of part[n_part] take: whole panels a job. */
static void add_rows(struct job_list *l, const struct source *s, uint32_t expert, struct plan_range rows,
		     const struct tensor_part *part, uint32_t n_part)
{
	uint64_t n_panel = LOADER_JOB_BYTES / (s->row_bytes * PANEL_ROWS);
	uint32_t step = (uint32_t)(n_panel ? n_panel : 1) * PANEL_ROWS;

	for (uint32_t row = rows.begin; row < rows.end; row += step)
		add_job(l, s,
			(struct loader_job){ .expert = expert,
					     .n_expert = 1,
					     .row0 = row,
					     .n_row = min_u32(rows.end - row, step),
					     .part = part,
					     .n_part = n_part });
}

static bool part_has(const struct tensor_part *p, uint32_t expert)
{
	return expert >= p->expert0 && expert - p->expert0 < p->n_expert;
}

/* Parts that take other rows have jobs of their own; the others share each read. */
static void add_matrix(struct job_list *l, const struct source *s, uint32_t expert, bool is_by_rows)
{
	const struct tensor *t = s->t;
	uint32_t k = 0, n = 1;

	for (; k < t->n_part; k += n) {
		const struct tensor_part *p = &t->part[k];

		n = 1;
		if (!part_has(p, expert))
			continue;
		while (!is_by_rows && k + n < t->n_part && part_has(&t->part[k + n], expert))
			n++;
		add_rows(l, s, expert, (struct plan_range){ p->row0, p->row0 + p->n_row }, p, n);
	}
}

/* Several whole experts a job, of which each part takes what it has. */
static void add_small_experts(struct job_list *l, const struct source *s)
{
	const struct tensor *t = s->t;
	uint32_t step = (uint32_t)(LOADER_JOB_BYTES / s->expert_bytes);

	for (uint32_t i = 0; i < t->n_expert; i += step)
		add_job(l, s,
			(struct loader_job){ .expert = i,
					     .n_expert = min_u32(t->n_expert - i, step),
					     .n_row = t->n_row,
					     .part = t->part,
					     .n_part = t->n_part });
}

static void add_tensor(struct job_list *l, const struct plan *p, const struct gguf_tensor *g, const struct tensor *t)
{
	struct source s = { g, t, .row_bytes = g->bytes / g->ne[1] / g->ne[2], .expert_bytes = g->bytes / g->ne[2] };

	if (t->is_vector) {
		add_job(l, &s, (struct loader_job){ .n_expert = 1, .part = t->part, .n_part = t->n_part });
	} else if (t->n_expert > 1 && s.expert_bytes <= LOADER_JOB_BYTES) {
		add_small_experts(l, &s);
	} else {
		for (uint32_t i = 0; i < t->n_expert; i++)
			add_matrix(l, &s, i, t->axis != PLAN_COPY && !plan_sum(p, t->axis));
	}
}

static void add_all(struct job_list *l, const struct weights *w)
{
	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++)
		add_tensor(l, &w->plan, gguf_tensor_at(w->gguf, i), &w->tensor[i]);
}

int weights_jobs(struct loader_job **job, size_t *n_job, const struct weights *w, struct error *e)
{
	struct job_list list = { 0 };

	add_all(&list, w);
	*job = calloc(list.n + 1, sizeof(**job));
	if (!*job)
		return error_set(e, -ENOMEM, "out of memory for the loader; free some memory");
	list = (struct job_list){ .job = *job };
	add_all(&list, w);
	*n_job = list.n;
	return 0;
}
