/* Text to token ids. With a daemon it is asked; with --model alone the file's vocabulary is read here: weights are not needed. */
#include "tools/tool.h"

#include "daemon/text/text.h"
#include "daemon/vocab_gguf.h"
#include "daemon/weights/gguf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ids {
	uint32_t *id;
	size_t n, size;
};

static int ids_add(struct ids *t, const uint32_t *id, size_t n)
{
	uint32_t *more = realloc(t->id, (t->n + n + 1) * sizeof(*id));

	if (!more)
		return -ENOMEM;
	t->id = more;
	memcpy(t->id + t->n, id, n * sizeof(*id));
	t->n += n;
	return 0;
}

static int ask_daemon(struct gyre *g, const char *text, size_t n, struct ids *out)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	bool is_last = false;
	int r = sqe ? gyre_prep_tokenize(g, sqe, text, n) : -EAGAIN;

	if (r == 0) {
		sqe->flags |= GYRE_SQE_SPECIAL;
		r = gyre_submit(g);
	}
	while (r >= 0 && !is_last) {
		const struct gyre_cqe *cqe;
		size_t n_id;

		r = gyre_wait_cqe(g, &cqe, GYRE_TIMEOUT_NONE);
		if (r < 0)
			break;
		r = cqe->res;
		is_last = !(cqe->flags & GYRE_CQE_MORE);
		if (r > 0) {
			const uint32_t *id = gyre_cqe_ids(g, cqe, &n_id);

			r = ids_add(out, id, n_id);
		}
		gyre_cqe_seen(g, cqe);
	}
	return r < 0 ? r : 0;
}

static int print_ids(const struct args *a, const struct ids *t, const struct vocab *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->n; i++) {
		struct text_span s = v ? vocab_token_bytes(v, t->id[i], false, true) : (struct text_span){ "", 0 };

		if (a->json)
			json_array_append_new(list, json_integer(t->id[i]));
		else if (a->ids || !v)
			printf("%s%u", i ? " " : "", t->id[i]);
		else
			printf("%6u  '%.*s'\n", t->id[i], (int)s.n, s.p);
	}
	if (a->json)
		return print_json(list);
	json_decref(list);
	if (t->n && (a->ids || !v))
		putchar('\n');
	return TOOL_OK;
}

static int tokenize_file(const struct args *a, const char *text, size_t n)
{
	struct ids t = { .id = malloc((n + 8) * sizeof(uint32_t)) };
	struct vocab_scratch *scratch = vocab_scratch_new(n + 8);
	struct vocab *v = NULL;
	struct gguf *g = NULL;
	struct error e = { "" };
	char why[256] = "";
	int r = gguf_open(&g, a->model, &e), code = TOOL_OK;

	if (r < 0)
		code = fail(TOOL_FAILED, "%s", e.text);
	else if (vocab_from_gguf(&v, g, why, sizeof(why)) < 0)
		code = fail(TOOL_FAILED, "%s: %s", a->model, why);
	else if (!t.id || !scratch)
		code = fail(TOOL_FAILED, "no memory for a text of %zu bytes", n);
	else if ((r = vocab_tokenize(v, scratch, text, n, true, true, t.id, n + 8)) < 0)
		code = fail(TOOL_FAILED, "%s", link_explain(NULL, r));
	else {
		t.n = (size_t)r;
		code = print_ids(a, &t, v);
	}
	vocab_free(v);
	gguf_close(g);
	vocab_scratch_free(scratch);
	free(t.id);
	return code;
}

static int tokenize_daemon(const struct args *a, const char *text, size_t n)
{
	struct ids t = { 0 };
	struct link l;
	int code = link_open(&l, a), e;

	if (code != TOOL_OK)
		return code;
	e = ask_daemon(l.g, text, n, &t);
	code = e < 0 ? fail(TOOL_FAILED, "%s", link_explain(&l, e)) : print_ids(a, &t, NULL);
	free(t.id);
	link_close(&l);
	return code;
}

int tokenize_main(const struct args *a)
{
	size_t n = a->n_word ? strlen(a->word[0]) : 0;
	char *text = a->n_word ? NULL : read_all(stdin, &n);
	const char *in = a->n_word ? a->word[0] : text;
	int code;

	if (!in)
		return fail(TOOL_FAILED, "cannot read stdin: %s", strerror(errno));
	code = a->model ? tokenize_file(a, in, n) : tokenize_daemon(a, in, n);
	free(text);
	return code;
}
