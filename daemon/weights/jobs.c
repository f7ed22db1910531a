/*
 * See places.h. A job is what one read takes and one worker packs: about LOADER_JOB_BYTES of consecutive rows of a matrix, or as many
 * small experts as that holds.
 *
 * Of a piece (gguf_cut) a job's rows lie together where its runs are long; of short runs a job reads what lies between them too, for a
 * read of a few KiB costs as much as one of a hundred.
 */
#include "daemon/weights/places.h"

#include "daemon/util/minmax.h"
#include "kernels/quant.h"

#include <errno.h>
#include <stdlib.h>

bool weights_keeps_to_runs(const struct gguf_tensor *t)
{
	uint64_t row_bytes = t->bytes / t->ne[1] / t->ne[2];

	return t->run * row_bytes >= RUN_BYTES_MIN && (t->run == t->ne[1] || t->run % PANEL_ROWS == 0);
}

struct job_list {
	struct loader_job *job; /* NULL: they are only counted */
	size_t n;
	bool are_vectors; /* alone */
};

/* One tensor, in the file and in the pools. */
struct source {
	const struct gguf_tensor *g;
	const struct tensor *t;
	uint64_t row_bytes, expert_bytes;
	uint64_t run, gap; /* rows, as gguf_tensor has them; gap 0: all lie together */
	bool keeps_to_runs;
};

/* Where row i of all experts lies, in rows of the file from the tensor's first. */
static uint64_t file_row(const struct source *s, uint64_t i)
{
	return s->gap ? i + i / s->run * s->gap : i;
}

/* job: which rows, experts and parts. */
static void add_job(struct job_list *l, const struct source *s, struct loader_job job)
{
	if (l->job) {
		uint64_t first = (uint64_t)job.expert * s->t->n_row + job.row0;
		uint64_t last = first + (uint64_t)job.n_expert * job.n_row - 1;

		if (s->t->is_vector) { /* one row, or of a piece each number is one */
			first = 0;
			last = s->gap ? s->t->n_col - 1 : 0;
		}
		job.name = s->g->name.p;
		job.name_len = (uint32_t)s->g->name.n;
		job.file = s->g->file;
		job.offset = s->g->offset + file_row(s, first) * s->row_bytes;
		job.bytes = (uint32_t)((file_row(s, last) - file_row(s, first) + 1) * s->row_bytes);
		if (s->gap && first / s->run != last / s->run) {
			job.head = (uint32_t)((s->run - first % s->run) * s->row_bytes);
			job.run = (uint32_t)min_u64(s->run * s->row_bytes, LOADER_JOB_MAX);
			job.gap = (uint32_t)(s->gap * s->row_bytes);
		}
		job.type = s->g->type;
		job.n_col = s->t->n_col;
		l->job[l->n] = job;
	}
	l->n++;
}

/* What `bytes` of rows take in a read: with what lies between them. */
static uint64_t read_bytes(const struct source *s, uint64_t bytes)
{
	return s->gap && !s->keeps_to_runs ? bytes * (s->run + s->gap) / s->run : bytes;
}

/* How many rows from this one on go into a job: whole panels, of one run where jobs keep to runs. */
static uint32_t job_rows(const struct source *s, uint32_t expert, uint32_t row, uint32_t end)
{
	uint64_t n_panel = LOADER_JOB_BYTES / read_bytes(s, s->row_bytes * PANEL_ROWS);
	uint64_t n = (n_panel ? n_panel : 1) * PANEL_ROWS;

	if (s->keeps_to_runs)
		n = min_u64(n, s->run - ((uint64_t)expert * s->t->n_row + row) % s->run);
	return (uint32_t)min_u64(n, end - row);
}

/* Rows [begin, end) of one expert, or of a matrix, which all of part[n_part] take. */
static void add_rows(struct job_list *l, const struct source *s, uint32_t expert, struct plan_range rows,
		     const struct tensor_part *part, uint32_t n_part)
{
	for (uint32_t row = rows.begin, n; row < rows.end; row += n) {
		n = job_rows(s, expert, row, rows.end);
		add_job(l, s,
			(struct loader_job){ .expert = expert,
					     .n_expert = 1,
					     .row0 = row,
					     .n_row = n,
					     .part = part,
					     .n_part = n_part });
	}
}

/* Parts that take other rows have jobs of their own; the others share each read. */
static void add_matrix(struct job_list *l, const struct source *s, uint32_t expert, bool is_by_rows)
{
	const struct tensor *t = s->t;
	uint32_t n = is_by_rows ? 1 : t->n_part;

	for (uint32_t k = 0; k < t->n_part; k += n) {
		const struct tensor_part *p = &t->part[k];

		add_rows(l, s, expert, (struct plan_range){ p->row0, p->row0 + p->n_row }, p, n);
	}
}

/* Several experts a job, of each of which every part takes its rows. */
static void add_small_experts(struct job_list *l, const struct source *s)
{
	const struct tensor *t = s->t;
	uint32_t step = (uint32_t)max_u64(1, LOADER_JOB_BYTES / read_bytes(s, s->expert_bytes));

	for (uint32_t i = 0; i < t->n_expert; i += step)
		add_job(l, s,
			(struct loader_job){ .expert = i,
					     .n_expert = min_u32(t->n_expert - i, step),
					     .n_row = t->n_row,
					     .part = t->part,
					     .n_part = t->n_part });
}

static struct source source_of(const struct gguf_tensor *g, const struct tensor *t)
{
	uint64_t gap = g->run ? g->gap : 0, n_row = !t->is_vector ? g->ne[1] : gap ? g->ne[0] : 1;

	return (struct source){ g,
				t,
				.row_bytes = t->is_vector ? g->bytes / n_row : g->bytes / n_row / g->ne[2],
				.expert_bytes = g->bytes / g->ne[2],
				.run = g->run,
				.gap = gap,
				.keeps_to_runs = gap && weights_keeps_to_runs(g) };
}

static void add_tensor(struct job_list *l, const struct plan *p, const struct gguf_tensor *g, const struct tensor *t)
{
	struct source s = source_of(g, t);

	if (t->is_vector) {
		add_job(l, &s, (struct loader_job){ .n_expert = 1, .part = t->part, .n_part = t->n_part });
	} else if (t->n_expert > 1 &&
		   read_bytes(&s, s.expert_bytes) <= (s.keeps_to_runs ? RUN_BYTES_MIN : LOADER_JOB_BYTES)) {
		add_small_experts(l, &s);
	} else {
		for (uint32_t i = 0; i < t->n_expert; i++)
			add_matrix(l, &s, i, t->axis != PLAN_COPY && !plan_sum(p, t->axis));
	}
}

static void add_all(struct job_list *l, const struct weights *w)
{
	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++)
		if (!l->are_vectors || w->tensor[i].is_vector)
			add_tensor(l, &w->plan, gguf_tensor_at(w->gguf, i), &w->tensor[i]);
}

int weights_jobs(struct loader_job **job, size_t *n_job, const struct weights *w, bool are_vectors, struct error *e)
{
	struct job_list list = { .are_vectors = are_vectors };

	add_all(&list, w);
	*job = calloc(list.n + 1, sizeof(**job));
	if (!*job)
		return error_set(e, -ENOMEM, "out of memory for the loader; free some memory");
	list = (struct job_list){ .job = *job, .are_vectors = are_vectors };
	add_all(&list, w);
	*n_job = list.n;
	return 0;
}
