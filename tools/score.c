/* Log-probabilities of continuations: all are submitted at once, so that the daemon can batch them. */
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct score {
	double logprob;
	uint32_t n_token;
	int res;
	bool is_ended;
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

/* One completion. 1: it was the last of its request. */
static int take_one(struct link *l, struct score *s)
{
	const struct gyre_cqe *cqe;
	int r = gyre_wait_cqe(l->g, &cqe, GYRE_TIMEOUT_NONE);

	if (r < 0)
		return r;
	s += cqe->user_data;
	if (cqe->flags & GYRE_CQE_MORE) {
		s->n_token++;
	} else {
		s->logprob = (double)cqe->logprob;
		s->res = cqe->res;
		s->is_ended = true;
		r = 1;
	}
	gyre_cqe_seen(l->g, cqe);
	return r;
}

static int score_all(struct link *l, const struct args *a, struct score *s, int n)
{
	int n_sent = 0, n_ended = 0, r = 0;

	while (r >= 0 && n_ended < n) {
		while (n_sent < n && (r = submit_one(l, a, n_sent)) == 0)
			n_sent++;
		if (r < 0 && (r != -EAGAIN || n_sent == n_ended))
			return r;
		r = take_one(l, s);
		n_ended += r == 1;
	}
	return r < 0 ? r : 0;
}

static int print_scores(const struct args *a, const struct score *s, int n)
{
	json_t *list = json_array();
	int code = TOOL_OK;

	for (int i = 0; i < n; i++) {
		if (s[i].res < 0)
			code = fail(TOOL_FAILED, "'%s': %s", a->word[i + 1], strerror(-s[i].res));
		if (a->json)
			json_array_append_new(list,
					      json_pack("{s:o,s:f,s:i,s:i}", "continuation",
							json_text(a->word[i + 1], strlen(a->word[i + 1])), "logprob",
							s[i].logprob, "tokens", (int)s[i].n_token, "res", s[i].res));
		else if (s[i].res >= 0)
			printf("%10.4f  %3u  %s\n", s[i].logprob, s[i].n_token, a->word[i + 1]);
	}
	if (a->json)
		return print_json(list) == TOOL_OK ? code : TOOL_FAILED;
	json_decref(list);
	return code;
}

int score_main(const struct args *a)
{
	int n = a->n_word - 1, code, e;
	struct score *s = calloc((size_t)n, sizeof(*s));
	struct link l;

	if (!s)
		return fail(TOOL_FAILED, "no memory for %d continuations", n);
	code = link_open(&l, a);
	if (code == TOOL_OK) {
		e = score_all(&l, a, s, n);
		code = e < 0 ? fail(TOOL_FAILED, "%s", strerror(-e)) : print_scores(a, s, n);
		for (int i = 0; i < n && code == TOOL_OK; i++)
			code = s[i].res < 0 ? TOOL_FAILED : TOOL_OK;
		link_close(&l);
	}
	free(s);
	return code;
}
