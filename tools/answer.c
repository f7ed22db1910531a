/* One GENERATE from submit to its last completion, with Ctrl-C as CANCEL. */
#include "tools/tool.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_NS     100000000ull
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

enum { ID_ANSWER = 1, ID_CANCEL = 2 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

void answer_catch_interrupt(void)
{
	struct sigaction sa = { .sa_handler = on_interrupt }; /* no SA_RESTART: waits must return */

	sigaction(SIGINT, &sa, NULL);
}

bool answer_take_interrupt(void)
{
	bool was = interrupted;

	interrupted = 0;
	return was;
}

/* What never reaches gyred, since it does not fit the session's arena: -EMSGSIZE. */
static int refuse_size(const struct link *l, size_t n, struct answer *r)
{
	snprintf(r->why, sizeof(r->why),
		 "the prompt has %zu bytes, too many for a context of %u positions: shorten it, or give gyred a larger "
		 "--ctx",
		 n, l->info.n_ctx);
	return -EMSGSIZE;
}

static int submit(struct link *l, const struct args *a, const void *data, size_t n, bool is_chat, struct answer *answer)
{
	struct gyre_sqe *sqe = gyre_get_sqe(l->g);
	int r;

	if (!sqe)
		return -EAGAIN;
	r = gyre_prep_generate(l->g, sqe, data, n, a->max_tokens);
	if (r == 0)
		r = gyre_sqe_set_options(l->g, sqe, &a->sampling, NULL, a->stop);
	if (r < 0) {
		gyre_unget_sqe(l->g);
		/* Nothing else is under way: it will never fit. */
		return r == -EAGAIN || r == -EMSGSIZE ? refuse_size(l, n, answer) : r;
	}
	sqe->flags |= GYRE_SQE_WHOLE_CHARS | (is_chat ? GYRE_SQE_CHAT : 0);
	sqe->user_data = ID_ANSWER;
	r = gyre_submit(l->g);
	return r < 0 ? r : 0;
}

static int cancel(struct link *l)
{
	struct gyre_sqe *sqe = gyre_get_sqe(l->g);
	int r;

	if (!sqe)
		return -EAGAIN;
	gyre_prep_cancel(sqe, ID_ANSWER);
	sqe->user_data = ID_CANCEL;
	r = gyre_submit(l->g);
	return r < 0 ? r : 0;
}

static int append(struct answer *r, const void *bytes, size_t n, FILE *out)
{
	char *text = realloc(r->text, r->n_text + n + 1);

	if (!text)
		return -ENOMEM;
	memcpy(text + r->n_text, bytes, n);
	r->text = text;
	r->n_text += n;
	text[r->n_text] = 0;
	if (out && n && (fwrite(bytes, 1, n, out) != n || fflush(out) != 0))
		return -EPIPE; /* nobody reads on: no reason to go on */
	return 0;
}

void answer_take_why(const struct gyre *g, const struct gyre_cqe *cqe, char *why, size_t n)
{
	size_t n_byte = 0;
	const void *bytes = cqe->res < 0 && !(cqe->flags & GYRE_CQE_HALF) ? gyre_cqe_bytes(g, cqe, &n_byte) : NULL;

	snprintf(why, n, "%.*s", (int)n_byte, bytes ? (const char *)bytes : "");
}

/* Adds a completion's bytes to the text. Half a character, in which the answer ended, becomes U+FFFD. */
static int take_text(struct link *l, const struct gyre_cqe *cqe, struct answer *r, FILE *out)
{
	size_t n;
	const void *bytes = gyre_cqe_bytes(l->g, cqe, &n);

	if (cqe->flags & GYRE_CQE_HALF)
		return append(r, REPLACEMENT, strlen(REPLACEMENT), out);
	return append(r, bytes, cqe->res < 0 ? 0 : n, out); /* a failure's are its words */
}

/* Tokens of one pass have the same time. */
static void take_token(struct answer *r, const struct gyre_cqe *cqe)
{
	double at = (double)cqe->time_ns * 1e-9;

	r->n_drafted += (cqe->flags & GYRE_CQE_DRAFTED) != 0;
	r->n_pass += at != r->last_s;
	r->last_s = at;
}

int answer_take(struct link *l, const struct gyre_cqe *cqe, struct answer *r, FILE *out)
{
	int e = take_text(l, cqe, r, out);

	if (e < 0)
		return e;
	if (cqe->flags & GYRE_CQE_MORE) {
		if (cqe->token >= 0)
			take_token(r, cqe);
		if (r->first_s == 0)
			r->first_s = r->last_s;
		return 0;
	}
	r->res = cqe->res < 0 ? cqe->res : 0; /* else how much of the prompt was known */
	answer_take_why(l->g, cqe, r->why, sizeof(r->why));
	r->is_stop = cqe->flags & GYRE_CQE_STOP;
	if (cqe->flags & GYRE_CQE_PROMPT) {
		r->n_prompt = cqe->index;
		r->n_token = cqe->token > 0 ? (uint32_t)cqe->token : 0;
	}
	return 1;
}

int answer_stream(struct link *l, const struct args *a, const void *data, size_t n, bool is_chat, FILE *out,
		  struct answer *r)
{
	bool is_ended = false, is_cancelling = false, is_cancelled = false;
	int e;

	memset(r, 0, sizeof(*r));
	r->begin_s = now_s();
	e = submit(l, a, data, n, is_chat, r);
	while (e >= 0 && !(is_ended && is_cancelling == is_cancelled)) {
		const struct gyre_cqe *cqe;

		/* Not for ever: a Ctrl-C just before the wait would not end it. */
		e = gyre_wait_cqe(l->g, &cqe, WAIT_NS);
		e = e == -ETIMEDOUT ? -EINTR : e;
		if (interrupted && !is_cancelling && !is_ended && (e == 0 || e == -EINTR)) {
			int c = cancel(l);

			is_cancelling = c == 0;
			if (c < 0)
				return c;
		}
		if (e == -EINTR)
			e = 0;
		else if (e == 0) {
			if (cqe->user_data == ID_CANCEL)
				is_cancelled = true;
			else if ((e = answer_take(l, cqe, r, out)) == 1)
				is_ended = true;
			gyre_cqe_seen(l->g, cqe);
		}
	}
	return e < 0 ? e : 0;
}

void answer_free(struct answer *r)
{
	free(r->text);
	memset(r, 0, sizeof(*r));
}

double answer_first_s(const struct answer *r)
{
	return r->first_s > r->begin_s ? r->first_s - r->begin_s : NAN;
}

double answer_tokens_per_second(const struct answer *r)
{
	return r->n_token > 1 && r->last_s > r->first_s ? (r->n_token - 1) / (r->last_s - r->first_s) : NAN;
}

json_t *answer_describe(const struct link *l, const struct answer *r, int res, const char *error)
{
	const char *end = res == -ECANCELED ? "cancelled" : error ? "error" : r->is_stop ? "stop" : "length";
	json_t *j = json_pack(
		"{s:o,s:o,s:i,s:i,s:i,s:i,s:s,s:o,s:o}", "text", json_text(r->text ? r->text : "", r->n_text), "model",
		json_text(l->info.model, strlen(l->info.model)), "prompt_tokens", (int)r->n_prompt, "tokens",
		(int)r->n_token, "drafted", (int)r->n_drafted, "passes", (int)r->n_pass, "end", end, "first_token_ms",
		json_figure(answer_first_s(r) * 1e3), "tokens_per_second", json_figure(answer_tokens_per_second(r)));

	if (j && error) {
		json_object_set_new(j, "res", json_integer(res));
		json_object_set_new(j, "error", json_text(error, strlen(error)));
	}
	return j;
}

/* Rates that there is something to measure for; an answer of one token has none. */
void answer_print_rates(const struct answer *r)
{
	double first = answer_first_s(r), rate = answer_tokens_per_second(r);

	fflush(stdout); /* both may go to the same file */
	fprintf(stderr, "prompt: %u tokens", r->n_prompt);
	if (isfinite(first))
		fprintf(stderr, ", first token after %.1f ms (%.1f tok/s)", first * 1e3, r->n_prompt / first);
	fprintf(stderr, "\nanswer: %u token%s", r->n_token, r->n_token == 1 ? "" : "s");
	if (isfinite(rate))
		fprintf(stderr, ", from the first to the last %.2f s (%.1f tok/s)", r->last_s - r->first_s, rate);
	if (r->n_drafted)
		fprintf(stderr, "\ndrafts: %u of them were guessed right, %.2f tokens a pass", r->n_drafted,
			(double)r->n_token / r->n_pass);
	fputc('\n', stderr);
}
