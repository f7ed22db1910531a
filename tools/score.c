/* Log-probabilities of continuations: the context is read once, and all go on from it. */
#include "tools/tool.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NO_CONTEXT "nothing stands before it: the context is empty, and this model has no token that begins a text"

static const char *explain(const struct link *l, const struct args *a, const struct gyre_label *s)
{
	if (s->res == -EINVAL && !*a->word[0])
		return NO_CONTEXT;
	return *s->why ? s->why : link_explain(l, s->res);
}

/* Among these alone: a softmax of the sums. 0 where there is none. */
static double probability(const struct gyre_label *all, uint32_t n, uint32_t i)
{
	double sum = 0;

	for (uint32_t k = 0; k < n; k++)
		sum += all[k].res < 0 ? 0 : exp((double)all[k].logprob - (double)all[i].logprob);
	return all[i].res < 0 ? 0 : 1 / sum;
}

/* error: what failed, in words; NULL: nothing did. */
static json_t *make_json(const struct gyre_label *s, const double *p, const char *error)
{
	json_t *j = json_pack("{s:o,s:f,s:i,s:i}", "continuation", json_text(s->text, strlen(s->text)), "logprob",
			      (double)s->logprob, "tokens", (int)s->n_token, "res", s->res);

	if (j && p)
		json_object_set_new(j, "probability", json_real(*p));
	if (j && error)
		json_object_set_new(j, "error", json_text(error, strlen(error)));
	return j;
}

static void print_row(const struct gyre_label *s, const double *p)
{
	printf("%10.4f  %3u  ", (double)s->logprob, s->n_token);
	if (p)
		printf("%6.4f  ", *p);
	puts(s->text);
}

static int print_scores(const struct link *l, const struct args *a, const struct gyre_label *s, uint32_t n)
{
	json_t *list = json_array();
	int code = TOOL_OK;

	for (uint32_t i = 0; i < n; i++) {
		const char *error = s[i].res < 0 ? explain(l, a, &s[i]) : NULL;
		double p = probability(s, n, i);

		if (error)
			code = fail(TOOL_FAILED, "'%s': %s", s[i].text, error);
		if (a->json)
			json_array_append_new(list, make_json(&s[i], a->labels ? &p : NULL, error));
		else if (!error)
			print_row(&s[i], a->labels ? &p : NULL);
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
	int code, r;
	uint32_t n = (uint32_t)a->n_word - 1;
	struct gyre_label *s;
	struct link l;

	if (check_words(a) != TOOL_OK)
		return TOOL_USAGE;
	s = calloc(n, sizeof(*s));
	if (!s)
		return fail(TOOL_FAILED, "no memory for %u continuations", n);
	for (uint32_t i = 0; i < n; i++)
		s[i].text = a->word[i + 1];
	code = link_open(&l, a);
	if (code == TOOL_OK) {
		r = gyre_score_labels(l.g, a->word[0], strlen(a->word[0]), 0, s, n);
		if (r == -EMSGSIZE || r == -EAGAIN) /* of the context: it has been asked nothing */
			for (uint32_t i = 0; i < n; i++)
				s[i].res = r;
		code = print_scores(&l, a, s, n);
		link_close(&l);
	}
	free(s);
	return code;
}
