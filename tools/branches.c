/* Several answers to one prompt: it is read once, for the first; the others fork that one at the prompt's end, each with a seed of its own. */
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_NS   100000000ull
#define KEEP_MS   60000 /* an end before the others have begun does no harm */
#define ID_CANCEL 1000u /* user_data; answers have their number */

static int prepare(struct link *l, const struct args *a, const void *data, size_t n, bool is_chat, uint32_t i)
{
	struct gyre_options o = a->sampling;
	struct gyre_sqe *sqe = gyre_get_sqe(l->g);
	int r;

	if (!sqe)
		return -EAGAIN;
	r = i ? gyre_prep_fork(l->g, sqe, 0, GYRE_FORK_PROMPT, NULL, 0, a->max_tokens)
	      : gyre_prep_generate(l->g, sqe, data, n, a->max_tokens);
	o.seed += i;
	if (r == 0)
		r = gyre_sqe_set_options(l->g, sqe, &o, NULL, a->stop);
	if (r < 0) {
		gyre_unget_sqe(l->g);
		return r;
	}
	sqe->flags |= GYRE_SQE_WHOLE_CHARS | (is_chat && !i ? GYRE_SQE_CHAT : 0);
	if (!i)
		gyre_sqe_set_keep(sqe, KEEP_MS);
	sqe->user_data = i;
	return 0;
}

static int cancel_all(struct link *l, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct gyre_sqe *sqe = gyre_get_sqe(l->g);

		if (!sqe)
			return -EAGAIN;
		gyre_prep_cancel(sqe, i);
		sqe->user_data = ID_CANCEL;
	}
	return gyre_submit(l->g);
}

/* Until all have ended. */
static int collect(struct link *l, struct answer *answer, uint32_t n)
{
	bool is_cancelling = false;
	uint32_t left = n;
	int e = 0;

	while (left && e >= 0) {
		const struct gyre_cqe *cqe;

		e = gyre_wait_cqe(l->g, &cqe, WAIT_NS);
		if (e == 0 && cqe->user_data < n)
			left -= (e = answer_take(l, cqe, &answer[cqe->user_data], NULL)) == 1;
		if (e >= 0)
			gyre_cqe_seen(l->g, cqe);
		if (e == -ETIMEDOUT || e == -EINTR)
			e = 0;
		if (e >= 0 && !is_cancelling && answer_take_interrupt()) {
			is_cancelling = true;
			e = cancel_all(l, n);
		}
	}
	return e < 0 ? e : 0;
}

static const char *explain(const struct link *l, const struct answer *r)
{
	return *r->why ? r->why : link_explain(l, r->res);
}

static int print_all(const struct args *a, const struct link *l, const struct answer *answer)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < a->n_answer; i++) {
		const struct answer *r = &answer[i];
		json_t *j = answer_describe(l, r, r->res, r->res < 0 && r->res != -ECANCELED ? explain(l, r) : NULL);

		json_object_set_new(j, "seed", json_integer((json_int_t)(a->sampling.seed + i)));
		json_array_append_new(list, j);
	}
	return print_json(json_pack("{s:o}", "answers", list));
}

static void show_all(const struct args *a, const struct answer *answer)
{
	for (uint32_t i = 0; i < a->n_answer; i++) {
		const struct answer *r = &answer[i];

		printf("[%u] %s%s", i + 1, r->text ? r->text : "",
		       r->n_text && r->text[r->n_text - 1] == '\n' ? "" : "\n");
	}
}

/* An exit code: of the first that failed. */
static int judge(const struct args *a, const struct link *l, const struct answer *answer)
{
	for (uint32_t i = 0; i < a->n_answer; i++)
		if (answer[i].res == -ECANCELED)
			return 130;
		else if (answer[i].res < 0)
			return fail(TOOL_FAILED, "answer %u: %s", i + 1, explain(l, &answer[i]));
	return TOOL_OK;
}

int branches_run(struct link *l, const struct args *a, const void *data, size_t n, bool is_chat)
{
	struct answer *answer = calloc(a->n_answer, sizeof(*answer));
	int e = answer ? 0 : -ENOMEM, code;

	for (uint32_t i = 0; i < a->n_answer && e == 0; i++) {
		answer[i].begin_s = now_s();
		e = prepare(l, a, data, n, is_chat, i);
	}
	if (e == 0)
		e = gyre_submit(l->g);
	if (e >= 0)
		e = collect(l, answer, a->n_answer);
	if (e < 0) {
		code = fail(TOOL_FAILED, "%s", link_explain(l, e));
	} else {
		code = judge(a, l, answer);
		if (!a->json)
			show_all(a, answer);
		else if (print_all(a, l, answer) != TOOL_OK)
			code = TOOL_FAILED;
	}
	for (uint32_t i = 0; answer && i < a->n_answer; i++)
		answer_free(&answer[i]);
	free(answer);
	return code;
}
