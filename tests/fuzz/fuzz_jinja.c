/*
 * A template, a zero byte, and its variables as JSON. What comes out is text within the limits with ranges in order, or an error that
 * names a line; and, for every eighth length, the same once more.
 */
#include "daemon/jinja/jinja.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void check(const struct jinja_output *o, const struct jinja_limits *l)
{
	uint32_t at = 0;

	if (o->n > l->output_bytes)
		abort();
	for (size_t i = 0; i < o->n_range; i++) {
		if (o->range[i].begin < at || o->range[i].end <= o->range[i].begin || o->range[i].end > o->n ||
		    (i && o->range[i].begin == at))
			abort();
		at = o->range[i].end;
	}
}

static uint64_t sum(const struct jinja_output *o)
{
	uint64_t h = o->n_range;

	for (size_t i = 0; i < o->n; i++)
		h = h * 31 + (unsigned char)o->text[i];
	return h;
}

static int render(const struct jinja *t, struct jinja_scratch *s, const struct jinja_limits *l, const char *json,
		  size_t n, uint64_t *h)
{
	struct jinja_output out;
	struct jinja_value *v;
	char err[512] = "";
	int r;

	jinja_scratch_reset(s);
	v = n ? jinja_json(s, json, n, err, sizeof(err)) : jinja_dict(s);
	v = jinja_dict_set(s, jinja_dict(s), "x", 1, v);
	if (!v)
		return -ENODATA;
	r = jinja_render(t, s, v, &out, err, sizeof(err));
	if (r ? (r != -EINVAL && r != -E2BIG) || strncmp(err, "line ", 5) : 0)
		abort();
	*h = r ? 0 : sum(&out);
	if (!r)
		check(&out, l);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct jinja_limits limits = {
		.n_step = 10000, .value_bytes = 1u << 20, .output_bytes = 1u << 16, .depth = 30
	};
	static struct jinja_scratch *s;
	const uint8_t *zero = memchr(data, 0, n);
	size_t n_template = zero ? (size_t)(zero - data) : n, n_json = zero ? n - n_template - 1 : 0;
	struct jinja *t = NULL;
	char err[512] = "";
	uint64_t first = 0, again = 0;
	int r;

	if (!s)
		s = jinja_scratch_new(&limits);
	r = jinja_new(&t, (const char *)data, n_template, err, sizeof(err));
	if (r) {
		if (r != -EINVAL || strncmp(err, "line ", 5))
			abort();
		return 0;
	}
	r = render(t, s, &limits, zero ? (const char *)zero + 1 : NULL, n_json, &first);
	if (r != -ENODATA &&
	    (r != render(t, s, &limits, zero ? (const char *)zero + 1 : NULL, n_json, &again) || first != again))
		abort();
	jinja_free(t);
	return 0;
}
