/*
 * Perplexity of a text, as llama-perplexity counts it: the tokens are cut into windows of n_ctx that share nothing, each
 * window begins with the BOS token if the model has one, and only the second half of each window is scored, so that
 * every scored token has at least n_ctx / 2 tokens before it.
 */
#ifndef GYRE_TESTS_UTIL_PERPLEXITY_H
#define GYRE_TESTS_UTIL_PERPLEXITY_H

#include "daemon/model/model.h"

struct perplexity {
	double ppl;                 /* exp(mean_nll) */
	double mean_nll, std_error; /* of the mean, in nats */
	uint32_t n_window, n_scored;
};

/*
 * n_ctx: the window, a multiple of KV_BLOCK that the model was opened for; n_step: rows of a step, no more than the model
 * was opened for, logit rows likewise. bos < 0: none. Replaces the model's memory of sequences by its own for the time of the call (model_set_kv, model_set_states again after).
 * -ENODATA: fewer than n_ctx tokens. Allocates; not for the step path.
 */
int perplexity_run(struct perplexity *p, struct model *m, struct team *t, const struct kernels *k, const int32_t *token,
		   uint32_t n_token, uint32_t n_ctx, uint32_t n_step, int32_t bos, struct error *e);

#endif
