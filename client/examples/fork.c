/*
 * One text, read once: how likely each of some labels is after it, then three ways to go on. Its prompt is kept, each request forks it.
 * cc fork.c $(pkg-config --cflags --libs gyre)
 */
#include <gyre.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define N_WAY 3u

enum { TEXT = 100, LABEL = 200, WAY = 300 }; /* user_data */

static int keep_text(struct gyre *g, const char *text)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	int res = sqe ? gyre_prep_prefill(g, sqe, text, strlen(text)) : -1;

	if (res < 0)
		return res;
	sqe->user_data = TEXT;
	gyre_sqe_set_keep(sqe, 60000); /* a minute, or until this session ends */
	return 0;
}

static int score_label(struct gyre *g, const char *label, uint32_t i)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	int res = sqe ? gyre_prep_score_fork(g, sqe, TEXT, GYRE_FORK_PROMPT, label, strlen(label)) : -1;

	if (res == 0)
		sqe->user_data = LABEL + i;
	return res;
}

static int go_on(struct gyre *g, uint32_t i)
{
	const struct gyre_options o = { .temperature = 0.8f, .seed = i };
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	int res = sqe ? gyre_prep_fork(g, sqe, TEXT, GYRE_FORK_PROMPT, NULL, 0, 16) : -1;

	if (res == 0)
		res = gyre_sqe_set_options(g, sqe, &o, NULL, NULL);
	if (res == 0)
		sqe->user_data = WAY + i;
	return res;
}

struct way {
	char text[1024];
	size_t n;
};

static void take(struct gyre *g, const struct gyre_cqe *cqe, const char *const *label, struct way *way)
{
	size_t n;
	const void *bytes = gyre_cqe_bytes(g, cqe, &n);
	int is_last = !(cqe->flags & GYRE_CQE_MORE);

	if (cqe->res < 0) {
		fprintf(stderr, "fork: %.*s\n", (int)n, (const char *)bytes);
	} else if (cqe->user_data >= WAY) {
		struct way *w = &way[cqe->user_data - WAY];

		n = n < sizeof(w->text) - w->n ? n : sizeof(w->text) - w->n;
		memcpy(w->text + w->n, bytes, n);
		w->n += n;
		if (is_last)
			printf("way %u:%.*s\n", (unsigned)(cqe->user_data - WAY), (int)w->n, w->text);
	} else if (cqe->user_data >= LABEL && is_last) {
		printf("label%s: %.3f, %d tokens of the text not read again\n", label[cqe->user_data - LABEL],
		       (double)cqe->logprob, cqe->res);
	}
}

int main(int argc, char **argv)
{
	static const char *const label[] = { " good", " bad", " indifferent" };
	const char *text = argc > 1 ? argv[1] : "I have seen this film twice, and will again. It is";
	static struct way way[N_WAY];
	char why[256] = "";
	struct gyre_params params = { .error = why, .error_bytes = sizeof(why) };
	const uint32_t n_label = sizeof(label) / sizeof(label[0]);
	struct gyre *g;
	int res = gyre_connect(&g, NULL, &params), is_bad = 0;

	if (res < 0) {
		fprintf(stderr, "fork: %s\n", why);
		return 1;
	}
	res = keep_text(g, text);
	for (uint32_t i = 0; i < n_label && res == 0; i++)
		res = score_label(g, label[i], i);
	for (uint32_t i = 0; i < N_WAY && res == 0; i++)
		res = go_on(g, i);
	if (res == 0)
		res = gyre_submit(g); /* together: each waits until the text has been read */
	for (uint32_t n = 1 + n_label + N_WAY; n && res >= 0;) {
		const struct gyre_cqe *cqe;

		res = gyre_wait_cqe(g, &cqe, GYRE_TIMEOUT_NONE);
		if (res < 0)
			break;
		take(g, cqe, label, way);
		n -= !(cqe->flags & GYRE_CQE_MORE);
		is_bad |= cqe->res < 0;
		gyre_cqe_seen(g, cqe);
	}
	if (res < 0)
		fprintf(stderr, "fork: %s\n", strerror(-res));
	gyre_close(g);
	return res < 0 || is_bad;
}
