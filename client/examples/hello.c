/* Streams the answer to one question. cc hello.c $(pkg-config --cflags --libs gyre) */
#include <gyre.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int ask(struct gyre *g, const char *question)
{
	uint32_t space[1024];
	struct gyre_chat chat = { .data = space, .size = sizeof(space), .n = 0 };
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	int res = sqe ? gyre_chat_append(&chat, GYRE_ROLE_USER, question, strlen(question)) : -1;

	if (res == 0)
		res = gyre_prep_generate(g, sqe, chat.data, chat.n, 200);
	if (res < 0)
		return res;
	sqe->flags |= GYRE_SQE_CHAT | GYRE_SQE_WHOLE_CHARS;
	res = gyre_submit(g);
	return res < 0 ? res : 0;
}

static int print_answer(struct gyre *g)
{
	for (;;) {
		const struct gyre_cqe *cqe;
		const void *bytes;
		size_t n;
		int res = gyre_wait_cqe(g, &cqe, GYRE_TIMEOUT_NONE), is_last;

		if (res < 0)
			return res;
		bytes = gyre_cqe_bytes(g, cqe, &n);
		fwrite(bytes, 1, n, stdout);
		fflush(stdout);
		res = cqe->res;
		is_last = !(cqe->flags & GYRE_CQE_MORE);
		gyre_cqe_seen(g, cqe);
		if (is_last || res < 0)
			return res;
	}
}

int main(int argc, char **argv)
{
	char why[256] = "";
	struct gyre_params params = { .error = why, .error_bytes = sizeof(why) };
	struct gyre *g;
	int res = gyre_connect(&g, NULL, &params);

	if (res < 0) {
		fprintf(stderr, "hello: %s\n", why);
		return 1;
	}
	res = ask(g, argc > 1 ? argv[1] : "Say hello in five languages.");
	if (res == 0)
		res = print_answer(g);
	printf("\n");
	if (res < 0)
		fprintf(stderr, "hello: %s\n", strerror(-res));
	gyre_close(g);
	return res < 0;
}
