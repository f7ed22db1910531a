/* Requests over the rings: each client has a session, and parks while it waits, for there may be more of them than cores. */
#include "tools/serve.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_S 1.0 /* at most, of one wait: an unbounded one is INFINITY */

struct ring {
	struct gyre *g;
	uint32_t *id; /* the longest prompt */
};

static int ring_open(struct serve_client *c, char *why)
{
	const struct serve *s = c->s;
	struct gyre_params p = { .error = why, .error_bytes = SERVE_WHY_BYTES, .spin_ns = 1 };
	struct ring *ring = calloc(1, sizeof(*ring));
	uint32_t n = 0;
	int r;

	for (uint32_t i = 0; i < s->n_request; i++)
		n = s->request[i].n_prompt > n ? s->request[i].n_prompt : n;
	c->link = ring;
	if (!ring || !(ring->id = malloc(n * sizeof(*ring->id)))) {
		snprintf(why, SERVE_WHY_BYTES, "no memory for a prompt of %u tokens", n);
		return -ENOMEM;
	}
	p.model = *s->model ? s->model : NULL;
	r = gyre_connect(&ring->g, s->socket, &p);
	if (r < 0 && !*why)
		snprintf(why, SERVE_WHY_BYTES, "%s", strerror(-r));
	return r;
}

static void ring_close(struct serve_client *c)
{
	struct ring *ring = c->link;

	gyre_close(ring->g);
	free(ring->id);
	free(ring);
}

static int ring_send(struct serve_client *c, uint32_t i)
{
	const struct serve_request *q = &c->s->request[i];
	const struct gyre_options o = { .temperature = c->s->args->sampling.temperature, .seed = i };
	struct ring *ring = c->link;
	struct gyre_sqe *sqe = gyre_get_sqe(ring->g);
	int r;

	if (!sqe)
		return -EAGAIN;
	serve_load_ids(c->s, i, ring->id);
	r = gyre_prep_generate(ring->g, sqe, ring->id, q->n_prompt * sizeof(*ring->id), q->n_output);
	if (r == 0)
		r = gyre_sqe_set_options(ring->g, sqe, &o, NULL, NULL);
	if (r < 0) {
		gyre_unget_sqe(ring->g);
		if (r != -EAGAIN)
			serve_end(c, i, r,
				  "the prompt is longer than the context: shorten it, or give gyred a larger --ctx");
		return r == -EAGAIN ? r : 0;
	}
	sqe->flags |= GYRE_SQE_TOKENS | GYRE_SQE_NO_BOS | GYRE_SQE_IGNORE_EOS;
	sqe->user_data = i;
	r = gyre_submit(ring->g);
	if (r < 0)
		serve_end(c, i, r, link_explain(NULL, r));
	return 0;
}

static void take(struct serve_client *c, const struct gyre_cqe *cqe)
{
	const struct ring *ring = c->link;
	uint32_t i = (uint32_t)cqe->user_data;
	struct serve_request *q = &c->s->request[i];
	char why[SERVE_WHY_BYTES];

	if (cqe->flags & GYRE_CQE_MORE) {
		if (cqe->token >= 0)
			serve_token(c, i);
		return;
	}
	if (cqe->flags & GYRE_CQE_PROMPT) {
		q->n_read = cqe->index;
		q->n_written = cqe->token > 0 ? (uint32_t)cqe->token : 0;
	}
	answer_take_why(ring->g, cqe, why, sizeof(why));
	serve_end(c, i, cqe->res, *why || cqe->res >= 0 ? why : link_explain(NULL, cqe->res));
}

static int ring_wait(struct serve_client *c, double until_s)
{
	const struct ring *ring = c->link;
	double s = fmin(fmax(until_s - now_s(), 0), WAIT_S);
	const struct gyre_cqe *cqe;
	int r = gyre_wait_cqe(ring->g, &cqe, (uint64_t)(s * 1e9));

	for (; r == 0; r = gyre_peek_cqe(ring->g, &cqe)) {
		take(c, cqe);
		gyre_cqe_seen(ring->g, cqe);
	}
	return r == -ETIMEDOUT || r == -EAGAIN || r == -EINTR ? 0 : r;
}

const struct serve_carrier serve_ring = { ring_open, ring_send, ring_wait, ring_close };

/* ---- before the clients ---- */

/* A text has no control tokens unless they are asked for (GYRE_SQE_SPECIAL), so these ids are none. */
static int take_ids(struct serve *s, const struct gyre *g, const struct gyre_cqe *cqe)
{
	size_t n;
	const uint32_t *id = gyre_cqe_ids(g, cqe, &n);

	return serve_load_add(s, id, n);
}

static int tokenize(struct serve *s, struct gyre *g, char *why)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	const char *words = serve_load_words();
	const struct gyre_cqe *cqe;
	bool is_last = false;
	int r = sqe ? gyre_prep_tokenize(g, sqe, words, strlen(words)) : -EAGAIN;

	if (r == 0) {
		sqe->flags |= GYRE_SQE_NO_BOS;
		r = gyre_submit(g);
	}
	while (r >= 0 && !is_last) {
		r = gyre_wait_cqe(g, &cqe, GYRE_TIMEOUT_NONE);
		if (r < 0)
			break;
		answer_take_why(g, cqe, why, SERVE_WHY_BYTES);
		r = cqe->res < 0 ? cqe->res : take_ids(s, g, cqe);
		is_last = !(cqe->flags & GYRE_CQE_MORE);
		gyre_cqe_seen(g, cqe);
	}
	return r;
}

int serve_ring_prepare(struct serve *s, struct link *l)
{
	char why[SERVE_WHY_BYTES] = "";
	int r = tokenize(s, l->g, why);

	if (r >= 0 && !s->n_id)
		return fail(TOOL_FAILED,
			    "the model's tokenizer makes no tokens of English words: no prompts can be made");
	snprintf(s->model, sizeof(s->model), "%s", l->info.name);
	return r < 0 ? fail(TOOL_FAILED, "%s", *why ? why : link_explain(l, r)) : TOOL_OK;
}
