/* Vectors of texts: many are submitted at once, so that the daemon can batch them; they are printed in order. */
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 32 /* fills a step; more would take the places of other clients */

struct vector {
	char *text;
	float *x; /* [n_embd] */
	uint32_t n_token;
	int res;
	char why[512]; /* gyred's words for it */
	bool is_sent;  /* and not refused for being one too many */
};

struct vectors {
	struct vector *v;
	int n;
	char *lines; /* what the texts lie in, if they came from stdin */
};

static int submit_one(struct link *l, const struct args *a, struct vectors *all, int i)
{
	struct gyre_sqe *sqe = gyre_get_sqe(l->g);
	const char *text = all->v[i].text;
	int r;

	if (!sqe)
		return -EAGAIN;
	r = gyre_prep_embed(l->g, sqe, text, strlen(text));
	if (r == 0)
		r = gyre_sqe_set_options(l->g, sqe, &a->sampling, NULL, NULL);
	if (r < 0) {
		gyre_unget_sqe(l->g);
		return r;
	}
	sqe->user_data = (uint64_t)i;
	r = gyre_submit(l->g);
	return r < 0 ? r : 0;
}

/* One completion. 1: it was the last of its request; 2: which gyred was too busy to take. */
static int take_one(struct link *l, struct vectors *all)
{
	const struct gyre_cqe *cqe;
	int r = gyre_wait_cqe(l->g, &cqe, GYRE_TIMEOUT_NONE);
	struct vector *v;
	const float *x;
	size_t n;

	if (r < 0)
		return r;
	v = &all->v[cqe->user_data];
	x = gyre_cqe_floats(l->g, cqe, &n);
	if (cqe->flags & GYRE_CQE_MORE) {
		if (n && cqe->index <= l->info.n_embd && n <= l->info.n_embd - cqe->index)
			memcpy(v->x + cqe->index, x, n * sizeof(*x));
	} else {
		v->res = cqe->res;
		v->n_token = cqe->index;
		answer_take_why(l->g, cqe, v->why, sizeof(v->why));
		v->is_sent = cqe->res != -EBUSY;
		r = v->is_sent ? 1 : 2;
	}
	gyre_cqe_seen(l->g, cqe);
	return r;
}

static int embed_all(struct link *l, const struct args *a, struct vectors *all)
{
	int max = IN_FLIGHT_MAX, n_flight = 0, r = 0;

	for (;;) {
		for (int i = 0; i < all->n && n_flight < max && r >= 0; i++) {
			if (all->v[i].is_sent)
				continue;
			r = submit_one(l, a, all, i);
			all->v[i].is_sent = r >= 0;
			n_flight += r >= 0;
		}
		if (r < 0 && (r != -EAGAIN || !n_flight))
			return r;
		if (!n_flight)
			return 0;
		r = take_one(l, all);
		if (r < 0)
			return r;
		n_flight -= r > 0;
		if (r == 2)
			max = n_flight ? n_flight : 1; /* again when one has ended */
	}
}

/* ---- printing ---- */

/* error: what failed, in words; NULL: nothing did. */
static json_t *make_json(const struct vector *v, uint32_t n_embd, const char *error)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n_embd && !error; i++)
		json_array_append_new(list, json_real((double)v->x[i]));
	if (error)
		return json_pack("{s:o,s:i,s:o,s:o}", "text", json_text(v->text, strlen(v->text)), "res", v->res,
				 "error", json_text(error, strlen(error)), "embedding", list);
	return json_pack("{s:o,s:i,s:i,s:o}", "text", json_text(v->text, strlen(v->text)), "res", 0, "tokens",
			 (int)v->n_token, "embedding", list);
}

static void print_row(const struct vector *v, uint32_t n_embd)
{
	for (uint32_t i = 0; i < n_embd; i++)
		printf("%s%.9g", i ? " " : "", (double)v->x[i]);
	putchar('\n');
}

/* Numbers in full: each is the f32 that it was. */
static int print_all(const struct link *l, const struct args *a, const struct vectors *all)
{
	json_t *list = json_array();
	int code = TOOL_OK;

	for (int i = 0; i < all->n; i++) {
		const struct vector *v = &all->v[i];
		const char *error = v->res >= 0 ? NULL : *v->why ? v->why : link_explain(l, v->res);

		if (error)
			code = fail(TOOL_FAILED, "text %d: %s", i + 1, error);
		if (a->json)
			json_array_append_new(list, make_json(v, l->info.n_embd, error));
		else if (!error)
			print_row(v, l->info.n_embd);
	}
	if (a->json) {
		json_dumpf(list, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
		putchar('\n');
	}
	json_decref(list);
	return code;
}

/* ---- texts ---- */

/* Each line of stdin. */
static int read_lines(struct vectors *all)
{
	size_t n, n_line = 0;

	all->lines = read_all(stdin, &n);
	if (!all->lines)
		return -errno;
	for (const char *p = all->lines; *p; p++)
		n_line += *p == '\n' || !p[1];
	all->v = calloc(n_line + 1, sizeof(*all->v));
	if (!all->v)
		return -ENOMEM;
	for (char *at = all->lines; (size_t)all->n < n_line; all->n++)
		all->v[all->n].text = strsep(&at, "\n");
	return 0;
}

static int take_operands(struct vectors *all, const struct args *a)
{
	all->n = a->n_word;
	all->v = calloc((size_t)all->n, sizeof(*all->v));
	for (int i = 0; all->v && i < all->n; i++)
		all->v[i].text = a->word[i];
	return all->v ? 0 : -ENOMEM;
}

static int make_room(struct vectors *all, uint32_t n_embd)
{
	for (int i = 0; i < all->n; i++) {
		all->v[i].x = calloc(n_embd ? n_embd : 1, sizeof(float));
		if (!all->v[i].x)
			return -ENOMEM;
	}
	return 0;
}

static void vectors_free(struct vectors *all)
{
	for (int i = 0; all->v && i < all->n; i++)
		free(all->v[i].x);
	free(all->v);
	free(all->lines);
}

static int find_pooling(struct args *a)
{
	static const char *const name[] = {
		[GYRE_POOLING_MEAN] = "mean", [GYRE_POOLING_LAST] = "last", [GYRE_POOLING_CLS] = "cls"
	};

	a->sampling = (struct gyre_options){ .pooling = a->raw ? GYRE_POOLING_RAW : 0 };
	if (!a->pooling)
		return TOOL_OK;
	for (uint32_t i = 1; i < GYRE_POOLING_KINDS; i++)
		if (!strcmp(a->pooling, name[i])) {
			a->sampling.pooling |= i;
			return TOOL_OK;
		}
	return fail(TOOL_USAGE, "--pooling: '%s' is none of mean, last, cls", a->pooling);
}

int embed_main(const struct args *args)
{
	struct vectors all = { 0 };
	struct args a = *args;
	struct link l;
	int code, r;

	if (find_pooling(&a) != TOOL_OK)
		return TOOL_USAGE;
	r = a.n_word ? take_operands(&all, &a) : read_lines(&all);
	code = r < 0 ? fail(TOOL_FAILED, "cannot read the texts: %s", strerror(-r)) : link_open(&l, &a);
	if (code == TOOL_OK) {
		r = make_room(&all, l.info.n_embd);
		if (r == 0)
			r = embed_all(&l, &a, &all);
		code = r < 0 ? fail(TOOL_FAILED, "%s", link_explain(&l, r)) : print_all(&l, &a, &all);
		link_close(&l);
	}
	vectors_free(&all);
	return code;
}
