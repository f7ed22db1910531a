/* Labels that may follow a prompt, each scored: the prompt is read once and kept, and every label goes on from it. */
#include "client/client.h"

#include <errno.h>
#include <string.h>

#define ID_PROMPT UINT64_C(0x6c6162656c730000) /* beside a program's own: what it keeps may have any user_data */
#define ID_LABEL  (ID_PROMPT + 1)
#define KEEP_MS   600000u /* long enough for labels that wait for their turn; it is let go of before */

struct scoring {
	struct gyre *g;
	struct gyre_label *label;
	uint32_t n_label, n_flight, max; /* max: as many at once as gyred has places for */
	int res;                         /* of the prompt */
	char why[sizeof(((struct gyre_label *)0)->why)];
};

static void put_words(const struct gyre *g, const struct gyre_cqe *cqe, char *why, size_t size)
{
	size_t n;
	const void *bytes = gyre_cqe_bytes(g, cqe, &n);

	n = cqe->res < 0 && !(cqe->flags & GYRE_CQE_HALF) ? n : 0;
	n = n < size - 1 ? n : size - 1;
	memcpy(why, bytes, n);
	why[n] = '\0';
}

/* A prepared entry is submitted, or what was prepared of it given back. */
static int send_entry(struct gyre *g, struct gyre_sqe *sqe, int res, uint64_t user_data)
{
	if (res < 0) {
		gyre_unget_sqe(g);
		return res;
	}
	sqe->user_data = user_data;
	res = gyre_submit(g);
	return res < 0 ? res : 0;
}

static int send_prompt(struct gyre *g, const void *prompt, size_t n, uint16_t flags)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	int res = sqe ? gyre_prep_prefill(g, sqe, prompt, n) : -EAGAIN;

	if (!sqe)
		return res;
	sqe->flags |= flags;
	if (!res)
		gyre_sqe_set_keep(sqe, KEEP_MS);
	return send_entry(g, sqe, res, ID_PROMPT);
}

static int send_label(struct scoring *s, uint32_t i)
{
	const char *text = s->label[i].text;
	struct gyre_sqe *sqe = gyre_get_sqe(s->g);

	if (!sqe)
		return -EAGAIN;
	return send_entry(s->g, sqe, gyre_prep_score_fork(s->g, sqe, ID_PROMPT, 0, text, strlen(text)), ID_LABEL + i);
}

/* Those that have not been sent, or came back for want of a place: as many as there is room for. -EAGAIN: with the next completion. */
static int send_labels(struct scoring *s)
{
	int res = 0;

	for (uint32_t i = 0; i < s->n_label && s->n_flight < s->max && !res; i++) {
		if (s->label[i].res != -EINPROGRESS)
			continue;
		res = send_label(s, i);
		if (!res) {
			s->label[i].res = -EALREADY; /* sent */
			s->n_flight++;
		}
	}
	return res == -EAGAIN && s->n_flight ? 0 : res;
}

static void take_label(struct scoring *s, struct gyre_label *l, const struct gyre_cqe *cqe)
{
	if (cqe->flags & GYRE_CQE_MORE) {
		l->n_token += cqe->token >= 0;
		return;
	}
	s->n_flight--;
	l->res = cqe->res < 0 ? cqe->res : 0; /* else how much of the prompt was not read again */
	l->logprob = cqe->logprob;
	put_words(s->g, cqe, l->why, sizeof(l->why));
	if (l->res != -EBUSY || !s->n_flight)
		return;
	l->res = -EINPROGRESS; /* again, when another has ended */
	l->n_token = 0;
	s->max = s->n_flight;
}

/* The next completion of any of them. 1: the prompt's. */
static int take_one(struct scoring *s)
{
	const struct gyre_cqe *cqe;
	int res;

	do
		res = gyre_wait_cqe(s->g, &cqe, GYRE_TIMEOUT_NONE);
	while (res == -EINTR);
	if (res < 0)
		return res;
	if (cqe->user_data - ID_LABEL < s->n_label) {
		take_label(s, &s->label[cqe->user_data - ID_LABEL], cqe);
	} else if (!(cqe->flags & GYRE_CQE_MORE)) {
		s->res = cqe->res < 0 ? cqe->res : 0;
		put_words(s->g, cqe, s->why, sizeof(s->why));
		res = 1;
	}
	gyre_cqe_seen(s->g, cqe);
	return res;
}

static bool is_over(const struct scoring *s)
{
	for (uint32_t i = 0; i < s->n_label; i++)
		if (s->label[i].res == -EINPROGRESS)
			return false;
	return !s->n_flight;
}

/* Everything that is in flight comes to its end, whatever has failed: the session is idle again. */
static int run(struct scoring *s)
{
	bool has_read = false;
	int res = 0, r = 0;

	while (!res && !(has_read && (s->res < 0 ? !s->n_flight : is_over(s)))) {
		if (s->res == 0)
			r = send_labels(s);
		if (r < 0 && !s->n_flight && has_read)
			return r;
		res = take_one(s);
		has_read |= res > 0;
		res = res > 0 ? 0 : res;
	}
	return res;
}

/* The prompt is kept no longer. */
static int let_go(struct gyre *g)
{
	const struct gyre_cqe *cqe;
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	int res;

	if (!sqe)
		return -EAGAIN;
	gyre_prep_cancel(sqe, ID_PROMPT);
	res = send_entry(g, sqe, 0, ID_PROMPT);
	while (!res || res == -EINTR) {
		res = gyre_wait_cqe(g, &cqe, GYRE_TIMEOUT_NONE);
		if (!res) {
			gyre_cqe_seen(g, cqe);
			return 0;
		}
	}
	return res;
}

/* No label was scored: each has the prompt's words. */
static int fail_all(struct scoring *s)
{
	for (uint32_t i = 0; i < s->n_label; i++) {
		s->label[i].res = s->res;
		memcpy(s->label[i].why, s->why, sizeof(s->why));
	}
	return s->res;
}

/* Nobody will say what becomes of these. */
static void settle_rest(struct scoring *s, int res)
{
	for (uint32_t i = 0; i < s->n_label; i++)
		if (s->label[i].res == -EINPROGRESS || s->label[i].res == -EALREADY)
			s->label[i].res = res;
}

int gyre_score_labels(struct gyre *g, const void *prompt, size_t n, uint16_t flags, struct gyre_label *label,
		      uint32_t n_label)
{
	struct scoring s = { .g = g, .label = label, .n_label = n_label, .max = UINT32_MAX };
	int res;

	if (g->n_inflight || g->sq_tail != g->sq_submitted)
		return -EBUSY;
	for (uint32_t i = 0; i < n_label; i++) {
		label[i].res = -EINPROGRESS;
		label[i].n_token = 0;
		label[i].logprob = 0;
		label[i].why[0] = '\0';
	}
	res = send_prompt(g, prompt, n, flags);
	if (res < 0)
		return res;
	res = run(&s);
	if (s.res < 0)
		return fail_all(&s);
	if (res != -ECONNRESET) {
		int r = let_go(g);

		res = res < 0 ? res : r;
	}
	settle_rest(&s, res);
	for (uint32_t i = 0; i < n_label && !res; i++)
		res = label[i].res;
	return res;
}
