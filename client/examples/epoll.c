/* Three requests at once in a program that lives in epoll. cc epoll.c $(pkg-config --cflags --libs gyre) */
#include <gyre.h>

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const char *const prompt[] = { "The sea is", "Two plus two is", "The capital of France is" };
#define N_PROMPT (sizeof(prompt) / sizeof(prompt[0]))

static int submit_all(struct gyre *g)
{
	for (size_t i = 0; i < N_PROMPT; i++) {
		struct gyre_sqe *sqe = gyre_get_sqe(g);
		int res = sqe ? gyre_prep_generate(g, sqe, prompt[i], strlen(prompt[i]), 16) : -1;

		if (res < 0)
			return res;
		sqe->user_data = i;
	}
	return gyre_submit(g);
}

/* Reads what has come. How many requests have ended. */
static int read_completions(struct gyre *g)
{
	const struct gyre_cqe *cqe;
	int n_ended = 0;

	while (gyre_peek_cqe(g, &cqe) == 0) {
		size_t n;
		const char *bytes = (const char *)gyre_cqe_bytes(g, cqe, &n);

		printf("%d: %.*s\n", (int)cqe->user_data, (int)n, bytes);
		n_ended += !(cqe->flags & GYRE_CQE_MORE);
		gyre_cqe_seen(g, cqe);
	}
	return n_ended;
}

int main(void)
{
	char why[256] = "";
	struct gyre_params params = { .error = why, .error_bytes = sizeof(why) };
	struct epoll_event event = { .events = EPOLLIN };
	struct gyre *g;
	int res = gyre_connect(&g, NULL, &params), epoll_fd, n_ended;

	if (res < 0) {
		fprintf(stderr, "epoll: %s\n", why);
		return 1;
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, gyre_event_fd(g), &event);
	res = submit_all(g);
	for (n_ended = 0; res >= 0 && n_ended < (int)N_PROMPT; n_ended += read_completions(g)) {
		epoll_wait(epoll_fd, &event, 1, -1);
		res = gyre_event_clear(g);
	}
	if (res < 0)
		fprintf(stderr, "epoll: %s\n", strerror(-res));
	close(epoll_fd);
	gyre_close(g);
	return res < 0;
}
