/*
 * A batch of answers of a daemon. Their prompts are read once and kept, and each mode's answers go on from them, so that what is timed
 * is decoding, of all streams at once from the first step on.
 */
#include "tools/bench_spec.h"
#include "tools/steps.h"

#include <math.h>
#include <string.h>

#define KEEP_MS GYRE_KEEP_MS_MAX
#define ID_KEPT 1000u /* user_data of a prompt; that of its answer is less by so much */
#define ID_LET  2000u

static const struct {
	const char *name;
	uint32_t draft;
} modes[SPEC_MODES] = { { "none", GYRE_DRAFT_NONE }, { "lookup", GYRE_DRAFT_LOOKUP }, { "auto", GYRE_DRAFT_AUTO } };

const char *spec_mode_name(uint32_t mode)
{
	return modes[mode].name;
}

static int explain(const struct link *l, int r, const char *why)
{
	return fail(TOOL_FAILED, "%s", why && *why ? why : link_explain(l, r));
}

/* ---- completions ---- */

struct stream {
	uint64_t first_ns, last_ns;
	uint32_t n_pass;
};

/* The answers under way; NULL: only ends are waited for. */
struct flight {
	struct spec_answers *to;
	struct stream stream[SPEC_BATCH_MAX];
};

static void take_token(struct flight *f, uint32_t i, const struct gyre_cqe *cqe)
{
	struct spec_answers *to = f->to;
	struct stream *s = &f->stream[i];
	size_t at = (size_t)i * SPEC_GEN_MAX + to->n[i];

	if (to->n[i] == SPEC_GEN_MAX)
		return;
	to->token[at] = cqe->token;
	to->time_ns[at] = cqe->time_ns;
	to->n[i]++;
	s->n_pass += s->last_ns != cqe->time_ns; /* tokens of one pass have the same */
	s->last_ns = cqe->time_ns;
	s->first_ns = s->first_ns ? s->first_ns : cqe->time_ns;
}

/* Until n requests have ended. */
static int wait_for(struct link *l, uint32_t n, struct flight *f)
{
	const struct gyre_cqe *cqe;
	char why[GYRE_WORDS_MAX + 1];
	int r = 0;

	while (n && r >= 0) {
		r = gyre_wait_cqe(l->g, &cqe, GYRE_TIMEOUT_NONE);
		if (r < 0)
			return explain(l, r, NULL);
		if (f && cqe->res >= 0 && cqe->token >= 0 && cqe->flags & GYRE_CQE_MORE)
			take_token(f, (uint32_t)cqe->user_data, cqe);
		n -= !(cqe->flags & GYRE_CQE_MORE);
		answer_take_why(l->g, cqe, why, sizeof(why));
		r = cqe->res;
		gyre_cqe_seen(l->g, cqe);
	}
	return r < 0 ? explain(l, r, why) : TOOL_OK;
}

static int send_all(struct link *l, uint32_t n, struct flight *f)
{
	int r = gyre_submit(l->g);

	return r < 0 ? explain(l, r, NULL) : wait_for(l, n, f);
}

/* ---- prompts ---- */

/* As a question where the model has a chat template, but for random words. */
static int prepare_prompt(struct link *l, const struct args *a, const struct spec_task *t, struct gyre_sqe *sqe,
			  const char *text, size_t n)
{
	bool is_chat = l->info.has_chat && !t->is_random;
	struct gyre_chat c = { 0 };
	int r = is_chat ? messages_make(a, text, n, &c) : TOOL_OK;

	if (r != TOOL_OK)
		return r;
	r = is_chat ? gyre_prep_prefill(l->g, sqe, c.data, c.n) : gyre_prep_prefill(l->g, sqe, text, n);
	free(c.data);
	if (r < 0)
		return explain(l, r, NULL);
	sqe->flags |= is_chat ? GYRE_SQE_CHAT : 0;
	gyre_sqe_set_keep(sqe, KEEP_MS);
	return TOOL_OK;
}

int spec_run_read(struct link *l, const struct args *a, const struct spec_task *t, uint64_t seed, uint32_t n_seq)
{
	char text[SPEC_PROMPT_BYTES];
	int code;

	for (uint32_t i = 0; i < n_seq; i++) {
		size_t n = spec_task_write(t, scatter(seed + i), text);
		struct gyre_sqe *sqe = gyre_get_sqe(l->g);

		if (!sqe)
			return fail(TOOL_FAILED, "the ring has no room for %u prompts; lower --batch", n_seq);
		code = prepare_prompt(l, a, t, sqe, text, n);
		if (code != TOOL_OK) {
			gyre_unget_sqe(l->g);
			return code;
		}
		sqe->user_data = ID_KEPT + i;
		code = send_all(l, 1, NULL); /* one by one: the arena holds a text each time */
		if (code != TOOL_OK)
			return code;
	}
	return TOOL_OK;
}

int spec_run_forget(struct link *l, uint32_t n_seq)
{
	for (uint32_t i = 0; i < n_seq; i++) {
		struct gyre_sqe *sqe = gyre_get_sqe(l->g);

		if (!sqe)
			return fail(TOOL_FAILED, "the ring has no room for %u entries; lower --batch", n_seq);
		gyre_prep_cancel(sqe, ID_KEPT + i);
		sqe->user_data = ID_LET;
	}
	return send_all(l, n_seq, NULL);
}

/* ---- answers ---- */

static int prepare_answer(struct link *l, const struct args *a, const struct spec_task *t, uint32_t i, uint32_t mode)
{
	const struct gyre_options o = { .temperature = t->is_random ? SPEC_RANDOM_TEMP : a->sampling.temperature,
					.seed = scatter(a->sampling.seed + i),
					.draft = modes[mode].draft };
	struct gyre_sqe *sqe = gyre_get_sqe(l->g);
	int r;

	if (!sqe)
		return fail(TOOL_FAILED, "the ring has no room for another answer; lower --batch");
	r = gyre_prep_fork(l->g, sqe, ID_KEPT + i, GYRE_FORK_PROMPT, "", 0, a->n_gen);
	if (r == 0)
		r = gyre_sqe_set_options(l->g, sqe, &o, NULL, NULL);
	if (r < 0) {
		gyre_unget_sqe(l->g);
		return explain(l, r, NULL);
	}
	sqe->flags |= t->is_random ? GYRE_SQE_IGNORE_EOS : 0;
	sqe->user_data = i;
	return TOOL_OK;
}

/* The daemon's account of guesses. */
struct account {
	double n_guessed, n_hit, expected, without, expected_ns, without_ns;
};

static int ask_account(struct link *l, struct account *to)
{
	int code = TOOL_OK;
	json_t *j = stats_query(l->g, &code);

	if (!j)
		return code;
	*to = (struct account){
		.n_guessed = json_number_value(json_object_get(j, "draft_guessed")),
		.n_hit = json_number_value(json_object_get(j, "draft_hits")),
		.expected = json_number_value(json_object_get(j, "draft_step_tokens_expected")),
		.without = json_number_value(json_object_get(j, "draft_step_tokens_without")),
		.expected_ns = json_number_value(json_object_get(j, "draft_step_ns_expected")),
		.without_ns = json_number_value(json_object_get(j, "draft_step_ns_without")),
	};
	json_decref(j);
	return TOOL_OK;
}

/* Tokens of steps with guesses come so many times as fast as expected of the same steps without; the others come as they would. */
static double expected_speedup(const struct account *before, const struct account *after, double n_token)
{
	double expected = after->expected - before->expected, without = after->without - before->without;
	double ns = after->expected_ns - before->expected_ns, without_ns = after->without_ns - before->without_ns;
	double share = fmin(expected / n_token, 1);

	return expected > 0 ? 1 / (1 - share + share * (ns / expected) / (without_ns / without)) : 1;
}

static void sum_up(const struct flight *f, uint32_t n_seq, struct spec_outcome *o)
{
	uint64_t begin = 0, end = 0;

	for (uint32_t i = 0; i < n_seq; i++) {
		const struct stream *s = &f->stream[i];

		begin = s->first_ns > begin ? s->first_ns : begin;
		end = s->last_ns > end ? s->last_ns : end;
		o->n_token += f->to->n[i];
		o->n_pass += s->n_pass;
	}
	o->window_s = (double)(end - begin) * 1e-9;
	for (uint32_t i = 0; i < n_seq; i++)
		for (uint32_t k = 0; k < f->to->n[i]; k++)
			o->n_window += f->to->time_ns[(size_t)i * SPEC_GEN_MAX + k] > begin;
}

int spec_run_answer(struct link *l, const struct args *a, const struct spec_task *t, uint32_t n_seq, uint32_t mode,
		    struct spec_answers *to, struct spec_outcome *o)
{
	struct flight f = { .to = to };
	struct account before, after;
	int code = ask_account(l, &before);

	memset(to->n, 0, sizeof(to->n));
	*o = (struct spec_outcome){ 0 };
	for (uint32_t i = 0; i < n_seq && code == TOOL_OK; i++)
		code = prepare_answer(l, a, t, i, mode);
	if (code == TOOL_OK)
		code = send_all(l, n_seq, &f);
	if (code == TOOL_OK)
		code = ask_account(l, &after);
	if (code != TOOL_OK)
		return code;
	sum_up(&f, n_seq, o);
	o->n_guessed = after.n_guessed - before.n_guessed;
	o->n_hit = after.n_hit - before.n_hit;
	o->expected = expected_speedup(&before, &after, o->n_token);
	return TOOL_OK;
}
