/* Log-probabilities of continuations: many are submitted at once, so that the daemon can batch them. */
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_CONTEXT    "nothing stands before it: the context is empty, and this model has no token that begins a text"
#define IN_FLIGHT_MAX 32 /* fills a step; more would take the places of other clients */

struct score {
	double logprob;
	uint32_t n_token;
	int res;
	char why[512]; /* gyred's words for it */
	bool is_sent;  /* and not refused for being one too many */
};

static int submit_one(struct link *l, const struct args *a, int i)
{
	size_t n_context = strlen(a->word[0]), n = n_context + strlen(a->word[i + 1]);
	struct gyre_sqe *sqe = gyre_get_sqe(l->g);
	char *text;
	int r;

	if (!sqe)
		return -EAGAIN;
	text = malloc(n + 1);
	if (!text) {
		gyre_unget_sqe(l->g);
		return -ENOMEM;
	}
	strcpy(stpcpy(text, a->word[0]), a->word[i + 1]);
	r = gyre_prep_score(l->g, sqe, text, n, n_context);
	free(text);
	if (r < 0) {
		gyre_unget_sqe(l->g);
		return r;
	}
	sqe->user_data = (uint64_t)i;
	r = gyre_submit(l->g);
	return r < 0 ? r : 0;
}

/* One completion. 1: it was the last of its request; 2: which gyred was too busy to take. */
static int take_one(struct link *l, struct score *all)
{
	const struct gyre_cqe *cqe;
	int r = gyre_wait_cqe(l->g, &cqe, GYRE_TIMEOUT_NONE);
	struct score *s;

	if (r < 0)
		return r;
	s = &all[cqe->user_data];
	if (cqe->flags & GYRE_CQE_MORE) {
		s->n_token++;
	} else {
		s->logprob = (double)cqe->logprob;
		s->res = cqe->res;
		answer_take_why(l->g, cqe, s->why, sizeof(s->why));
		s->is_sent = cqe->res != -EBUSY;
		r = s->is_sent ? 1 : 2;
	}
	gyre_cqe_seen(l->g, cqe);
	return r;
}

static int score_all(struct link *l, const struct args *a, struct score *s, int n)
{
	int max = IN_FLIGHT_MAX, n_flight = 0, r = 0;

	for (;;) {
		for (int i = 0; i < n && n_flight < max && r >= 0; i++) {
			if (s[i].is_sent)
				continue;
			r = submit_one(l, a, i);
			s[i].is_sent = r >= 0;
			n_flight += r >= 0;
		}
		if (r < 0 && (r != -EAGAIN || !n_flight))
			return r;
		if (!n_flight)
			return 0;
		r = take_one(l, s);
		if (r < 0)
			return r;
		n_flight -= r > 0;
		if (r == 2)
			max = n_flight ? n_flight : 1; /* again when one has ended */
	}
}

static const char *explain(const struct link *l, const struct args *a, const struct score *s)
{
	if (s->res == -EINVAL && !*a->word[0])
		return NO_CONTEXT;
	return *s->why ? s->why : link_explain(l, s->res);
}

/* error: what failed, in words; NULL: nothing did. */
static json_t *make_json(const struct score *s, const char *text, const char *error)
{
	json_t *j = json_pack("{s:o,s:f,s:i,s:i}", "continuation", json_text(text, strlen(text)), "logprob", s->logprob,
			      "tokens", (int)s->n_token, "res", s->res);

	if (j && error)
		json_object_set_new(j, "error", json_text(error, strlen(error)));
	return j;
}

static int print_scores(const struct link *l, const struct args *a, const struct score *s, int n)
{
	json_t *list = json_array();
	int code = TOOL_OK;

	for (int i = 0; i < n; i++) {
		const char *error = s[i].res < 0 ? explain(l, a, &s[i]) : NULL;

		if (error)
			code = fail(TOOL_FAILED, "'%s': %s", a->word[i + 1], error);
		if (a->json)
			json_array_append_new(list, make_json(&s[i], a->word[i + 1], error));
		else if (s[i].res >= 0)
			printf("%10.4f  %3u  %s\n", s[i].logprob, s[i].n_token, a->word[i + 1]);
	}
	if (a->json)
		return print_json(list) == TOOL_OK ? code : TOOL_FAILED;
	json_decref(list);
	return code;
}

/* An empty text has no tokens, and so no probability of its own. */
static int check_words(const struct args *a)
{
	for (int i = 1; i < a->n_word; i++)
		if (!*a->word[i])
			return fail(TOOL_USAGE, "continuation %d is empty: there is nothing to score", i);
	return TOOL_OK;
}

int score_main(const struct args *a)
{
	int n = a->n_word - 1, code, e;
	struct score *s;
	struct link l;

	if (check_words(a) != TOOL_OK)
		return TOOL_USAGE;
	s = calloc((size_t)n, sizeof(*s));
	if (!s)
		return fail(TOOL_FAILED, "no memory for %d continuations", n);
	code = link_open(&l, a);
	if (code == TOOL_OK) {
		e = score_all(&l, a, s, n);
		code = e < 0 ? fail(TOOL_FAILED, "%s", link_explain(&l, e)) : print_scores(&l, a, s, n);
		for (int i = 0; i < n && code == TOOL_OK; i++)
			code = s[i].res < 0 ? TOOL_FAILED : TOOL_OK;
		link_close(&l);
	}
	free(s);
	return code;
}
