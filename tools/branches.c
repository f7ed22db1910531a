/* Several answers to one prompt: it is read once and kept; each answer forks it, with a seed of its own. */
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_NS 100000000ull
#define KEEP_MS 60000 /* until the answers have begun, which wait for it already */

/* user_data; answers have their number */
enum { ID_PROMPT = 1000, ID_CANCEL };

static int prepare_prompt(struct link *l, const void *data, size_t n, bool is_chat)
{
	struct gyre_sqe *sqe = gyre_get_sqe(l->g);
	int r = sqe ? gyre_prep_prefill(l->g, sqe, data, n) : -EAGAIN;

	if (r < 0)
		return r;
	sqe->flags |= is_chat ? GYRE_SQE_CHAT : 0;
	sqe->user_data = ID_PROMPT;
	gyre_sqe_set_keep(sqe, KEEP_MS);
	return 0;
}

static int prepare_answer(struct link *l, const struct args *a, uint32_t i)
{
	struct gyre_options o = a->sampling;
	struct gyre_sqe *sqe = gyre_get_sqe(l->g);
	int r = sqe ? gyre_prep_fork(l->g, sqe, ID_PROMPT, GYRE_FORK_PROMPT, NULL, 0, a->max_tokens) : -EAGAIN;

	o.seed += i;
	if (r == 0)
		r = gyre_sqe_set_options(l->g, sqe, &o, NULL, a->stop);
	if (r < 0)
		return r;
	sqe->flags |= GYRE_SQE_WHOLE_CHARS;
	sqe->user_data = i;
	return 0;
}

static int cancel(struct link *l, uint64_t user_data)
{
	struct gyre_sqe *sqe = gyre_get_sqe(l->g);

	if (!sqe)
		return -EAGAIN;
	gyre_prep_cancel(sqe, user_data);
	sqe->user_data = ID_CANCEL;
	return 0;
}

static int cancel_all(struct link *l, uint32_t n)
{
	int r = cancel(l, ID_PROMPT);

	for (uint32_t i = 0; i < n && r == 0; i++)
		r = cancel(l, i);
	return r < 0 ? r : gyre_submit(l->g);
}

/* Until the prompt, answer[n], and the n answers have ended. */
static int collect(struct link *l, struct answer *answer, uint32_t n)
{
	bool is_cancelling = false;
	uint32_t left = n + 1;
	int e = 0;

	while (left && e >= 0) {
		const struct gyre_cqe *cqe;

		e = gyre_wait_cqe(l->g, &cqe, WAIT_NS);
		if (e == 0 && cqe->user_data != ID_CANCEL)
			left -= (e = answer_take(l, cqe, &answer[cqe->user_data == ID_PROMPT ? n : cqe->user_data],
						 NULL)) == 1;
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

/* An exit code: of the prompt, or else of the first answer that failed. */
static int judge(const struct args *a, const struct link *l, const struct answer *answer)
{
	const struct answer *prompt = &answer[a->n_answer];

	if (prompt->res < 0 && prompt->res != -ECANCELED)
		return fail(TOOL_FAILED, "%s", explain(l, prompt));
	for (uint32_t i = 0; i < a->n_answer; i++)
		if (answer[i].res == -ECANCELED)
			return 130;
		else if (answer[i].res < 0)
			return fail(TOOL_FAILED, "answer %u: %s", i + 1, explain(l, &answer[i]));
	return TOOL_OK;
}

static int run(struct link *l, const struct args *a, const void *data, size_t n, bool is_chat, struct answer *answer)
{
	int e = prepare_prompt(l, data, n, is_chat);

	for (uint32_t i = 0; i < a->n_answer && e == 0; i++) {
		answer[i].begin_s = now_s();
		e = prepare_answer(l, a, i);
	}
	if (e == 0)
		e = gyre_submit(l->g);
	return e < 0 ? e : collect(l, answer, a->n_answer);
}

int branches_run(struct link *l, const struct args *a, const void *data, size_t n, bool is_chat)
{
	struct answer *answer = calloc(a->n_answer + 1, sizeof(*answer));
	int e = answer ? run(l, a, data, n, is_chat, answer) : -ENOMEM, code;

	if (e < 0) {
		code = fail(TOOL_FAILED, "%s", link_explain(l, e));
	} else {
		code = judge(a, l, answer);
		if (!a->json)
			show_all(a, answer);
		else if (print_all(a, l, answer) != TOOL_OK)
			code = TOOL_FAILED;
	}
	for (uint32_t i = 0; answer && i <= a->n_answer; i++)
		answer_free(&answer[i]);
	free(answer);
	return code;
}
