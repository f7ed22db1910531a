/* A whole text: added tokens are cut out first, the stretches between them go to the tokenizer of the model. */
#include "daemon/util/utf8.h"
#include "daemon/text/vocab.h"

struct run {
	const struct vocab *v;
	struct vocab_scratch *s;
	struct token_out o;
};

static int put_text(struct run *run, const char *p, size_t n, bool lead)
{
	if (!n)
		return 0;
	return run->v->kind->text(run->v, run->s, p, n, lead && run->v->add_space_prefix, &run->o);
}

/* Walks the ranges beside the text, each once. */
struct control_walk {
	const struct jinja_range *range; /* [n] not yet begun */
	size_t n;
	uint32_t from, to; /* touching ranges, taken together */
};

/* How many bytes at `at`, which never goes back, may make a control token. */
static size_t control_bytes(struct control_walk *w, size_t at)
{
	for (; w->n && (w->to <= at || w->range->begin == w->to); w->n--) {
		if (w->range->begin != w->to)
			w->from = w->range->begin;
		w->to = w->range++->end;
	}
	return at >= w->from && at < w->to ? w->to - at : 0;
}

/* How much of the n bytes in front of an added token is left of them. */
static size_t text_before(const struct vocab *v, uint32_t id, const char *p, size_t n)
{
	if (v->strip[id] & STRIP_BEFORE)
		for (size_t len; (len = utf8_space_before(p, n));)
			n -= len;
	return n;
}

/* How much of the n bytes behind an added token goes with it. */
static size_t space_after(const struct vocab *v, uint32_t id, const char *p, size_t n)
{
	size_t at = 0;

	if (v->strip[id] & STRIP_AFTER)
		for (size_t len; (len = utf8_space_len(p + at, n - at));)
			at += len;
	return at;
}

/* lead: the space of SPM goes before the text; it does so before the text behind a control token. */
static int put_all(struct run *run, const char *p, size_t n, bool lead, struct control_walk control)
{
	size_t done = 0, at = 0;
	int r;

	while (at < n) {
		uint32_t id, len = vocab_match_added(run->v, p + at, n - at, control_bytes(&control, at), &id);

		if (!len) {
			at++;
			continue;
		}
		if ((r = put_text(run, p + done, text_before(run->v, id, p + done, at - done), lead)) ||
		    (r = token_out_put(&run->o, id)))
			return r;
		lead = token_is_control(run->v->type[id]);
		at += len;
		done = at += space_after(run->v, id, p + at, n - at);
	}
	return put_text(run, p + done, n - done, lead);
}

int vocab_tokenize_mixed(const struct vocab *v, struct vocab_scratch *s, const char *text, size_t n, bool add_special,
			 const struct jinja_range *control, size_t n_control, uint32_t *id, size_t n_id)
{
	struct run run = { v, s, { id, 0, n_id } };
	int r;

	if (n > s->max_bytes)
		return -EINVAL;
	if (add_special && v->add_bos && (r = token_out_put(&run.o, (uint32_t)v->bos)))
		return r;
	if ((r = put_all(&run, text, n, true, (struct control_walk){ control, n_control, 0, 0 })))
		return r;
	if (add_special && v->add_eos && (r = token_out_put(&run.o, (uint32_t)v->eos)))
		return r;
	return (int)run.o.n;
}

int vocab_tokenize(const struct vocab *v, struct vocab_scratch *s, const char *text, size_t n, bool add_special,
		   bool parse_special, uint32_t *id, size_t n_id)
{
	const struct jinja_range all = { 0, UINT32_MAX };

	return vocab_tokenize_mixed(v, s, text, n, add_special, &all, parse_special, id, n_id);
}

int vocab_tokenize_on(const struct vocab *v, struct vocab_scratch *s, const char *text, size_t n, bool parse_special,
		      uint32_t *id, size_t n_id)
{
	const struct jinja_range all = { 0, UINT32_MAX };
	struct run run = { v, s, { id, 0, n_id } };
	int r = n > s->max_bytes ? -EINVAL
				 : put_all(&run, text, n, false, (struct control_walk){ &all, parse_special, 0, 0 });

	return r < 0 ? r : (int)run.o.n;
}
