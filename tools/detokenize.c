/* Token ids to text. With a daemon it is asked; with --model alone the file's vocabulary is read here: weights are not needed. */
#include "tools/tool.h"

#include "daemon/gguf/gguf.h"
#include "daemon/text/text.h"
#include "daemon/text/vocab_gguf.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct text {
	char *p;
	size_t n;
};

static int text_add(struct text *t, const void *p, size_t n)
{
	char *more = realloc(t->p, t->n + n + 1);

	if (!more)
		return -ENOMEM;
	t->p = more;
	memcpy(t->p + t->n, p, n);
	t->n += n;
	return 0;
}

/* Numbers between white space, commas and brackets. How many, or -1: one is no id. */
static ssize_t parse_ids(const char *p, uint32_t *id)
{
	ssize_t n = 0;

	for (p += strspn(p, " \t\r\n,[]"); *p; p += strspn(p, " \t\r\n,[]")) {
		unsigned long long v;
		char *end;

		errno = 0;
		v = isdigit((unsigned char)*p) ? strtoull(p, &end, 10) : ULLONG_MAX;
		if (v > UINT32_MAX || errno || !strchr(" \t\r\n,[]", *end))
			return -1;
		id[n++] = (uint32_t)v;
		p = end;
	}
	return n;
}

/* The operands, or stdin, as one text. NULL: no memory, or a read error. */
static char *read_operands(const struct args *a)
{
	size_t n = 1;
	char *all, *at;

	if (!a->n_word)
		return read_all(stdin, &n);
	for (int i = 0; i < a->n_word; i++)
		n += strlen(a->word[i]) + 1;
	at = all = calloc(n, 1);
	for (int i = 0; all && i < a->n_word; i++)
		at = stpcpy(stpcpy(at, a->word[i]), " ");
	return all;
}

/* why[512]: gyred's words if it fails. */
static int ask_daemon(struct gyre *g, const uint32_t *id, size_t n, struct text *out, char *why)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	bool is_last = false;
	int r = sqe ? gyre_prep_detokenize(g, sqe, id, n) : -EAGAIN;

	if (r == 0) {
		sqe->flags |= GYRE_SQE_SPECIAL;
		r = gyre_submit(g);
	}
	while (r >= 0 && !is_last) {
		const struct gyre_cqe *cqe;
		const void *bytes;
		size_t n_byte;

		r = gyre_wait_cqe(g, &cqe, GYRE_TIMEOUT_NONE);
		if (r < 0)
			break;
		r = cqe->res;
		answer_take_why(g, cqe, why, 512);
		is_last = !(cqe->flags & GYRE_CQE_MORE);
		bytes = gyre_cqe_bytes(g, cqe, &n_byte);
		if (r > 0)
			r = text_add(out, bytes, n_byte);
		gyre_cqe_seen(g, cqe);
	}
	return r < 0 ? r : 0;
}

static int detokenize_daemon(const struct args *a, const uint32_t *id, size_t n, struct text *out)
{
	char why[512] = "";
	struct link l;
	int code = link_open(&l, a), r;

	if (code != TOOL_OK)
		return code;
	r = ask_daemon(l.g, id, n, out, why);
	if (r < 0)
		code = fail(TOOL_FAILED, "%s", *why ? why : link_explain(&l, r));
	link_close(&l);
	return code;
}

static int detokenize_file(const struct args *a, const uint32_t *id, size_t n, struct text *out)
{
	struct vocab *v = NULL;
	struct gguf *g = NULL;
	struct error e = { "" };
	char why[256] = "";
	bool has_text = false;
	int code = TOOL_OK;

	if (gguf_open_metadata(&g, a->model, &e) < 0)
		return fail(TOOL_FAILED, "%s", e.text);
	if (vocab_from_gguf(&v, g, why, sizeof(why)) < 0)
		code = fail(TOOL_FAILED, "%s: %s", a->model, why);
	for (size_t i = 0; i < n && code == TOOL_OK; i++) {
		struct text_span t = vocab_token_bytes(v, id[i], !has_text, true);

		if (id[i] >= vocab_size(v))
			code = fail(TOOL_FAILED, "%u is no token: the vocabulary has 0 to %u", id[i],
				    vocab_size(v) - 1);
		else if (text_add(out, t.p, t.n) < 0)
			code = fail(TOOL_FAILED, "no memory for a text of %zu tokens", n);
		has_text |= vocab_token_bytes(v, id[i], false, false).n > 0;
	}
	vocab_free(v);
	gguf_close(g);
	return code;
}

static int print_text(const struct args *a, const struct text *t)
{
	if (a->json)
		return print_json(json_pack("{s:o}", "text", json_text(t->p, t->n)));
	fwrite(t->p, 1, t->n, stdout);
	if (isatty(STDOUT_FILENO))
		putchar('\n');
	return TOOL_OK;
}

int detokenize_main(const struct args *a)
{
	char *all = read_operands(a);
	uint32_t *id = all ? malloc((strlen(all) / 2 + 1) * sizeof(*id)) : NULL;
	struct text out = { calloc(1, 1), 0 };
	ssize_t n = id ? parse_ids(all, id) : 0;
	int code;

	if (!id || !out.p)
		code = fail(TOOL_FAILED, "cannot read the ids: %s", strerror(errno));
	else if (n < 0)
		code = fail(TOOL_USAGE, "token ids are numbers up to 4294967295, as gyre tokenize --ids prints them");
	else
		code = a->model ? detokenize_file(a, id, (size_t)n, &out) : detokenize_daemon(a, id, (size_t)n, &out);
	if (code == TOOL_OK)
		code = print_text(a, &out);
	free(all);
	free(id);
	free(out.p);
	return code;
}
