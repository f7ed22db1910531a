/*
 * A model in several files, as gguf-split cuts it: each part is a GGUF file with a share of the tensors; split.no (from 0), split.count
 * and split.tensors.count (of all parts) are in each of them, all other metadata in the first. The parts find each other by their
 * names, P-00001-of-00003.gguf and so on, and are taken for one model's as far as their headers can tell: they agree on these keys
 * and on any other that two of them have, no tensor is in two of them, and none is missing.
 */
#include "daemon/gguf/gguf_own.h"

#include <stdio.h>

#define TAIL_BYTES 32 /* "-00001-of-00003.gguf" */

static int read_key(uint32_t *v, const struct gguf_header *h, const char *key, struct error *e)
{
	int r = gguf_header_get_u32(h, key, v);

	return r ? error_set(e, -EINVAL, "GGUF key '%s' is %s: " DAMAGED, key,
			     r == -ENOENT ? "missing beside split.count" : "no number, or out of range")
		 : 0;
}

int gguf_split_read(struct gguf_split *s, const struct gguf_header *h, struct error *e)
{
	int r;

	*s = (struct gguf_split){ .count = 1 };
	if (!gguf_header_find(h, "split.count"))
		return 0;
	r = read_key(&s->count, h, "split.count", e);
	if (s->count == 0) /* of a file that gguf-split has joined again */
		s->count = 1;
	if (r || s->count == 1)
		return r;
	if (s->count > GGUF_FILE_MAX)
		return error_set(e, -EINVAL,
				 "it is one of %u parts (split.count), of which gyre reads at most %u; join them "
				 "(llama-gguf-split --merge)",
				 s->count, GGUF_FILE_MAX);
	r = read_key(&s->no, h, "split.no", e);
	if (!r)
		r = read_key(&s->n_tensor, h, "split.tensors.count", e);
	if (!r && s->no >= s->count)
		return error_set(e, -EINVAL, "it says that it is part %llu of %u (split.no, split.count): " DAMAGED,
				 s->no + 1ull, s->count);
	return r;
}

int gguf_split_stem(const struct gguf_split *s, const char *path)
{
	char tail[TAIL_BYTES];
	size_t n = strlen(path);
	size_t n_tail = (size_t)snprintf(tail, sizeof(tail), "-%05u-of-%05u.gguf", s->no + 1, s->count);

	return n >= n_tail && !strcmp(path + n - n_tail, tail) ? (int)(n - n_tail) : -1;
}

int gguf_split_path(char **out, const struct gguf_split *s, const char *path, uint32_t i, struct error *e)
{
	int n = gguf_split_stem(s, path);

	if (n < 0)
		return error_set(
			e, -EINVAL,
			"model '%s' is part %u of %u and is not named so; give all parts their names back, this "
			"one NAME-%05u-of-%05u.gguf",
			path, s->no + 1, s->count, s->no + 1, s->count);
	if (asprintf(out, "%.*s-%05u-of-%05u.gguf", n, path, i + 1, s->count) < 0) {
		*out = NULL;
		return error_set(e, -ENOMEM, "out of memory opening '%s'; free some memory", path);
	}
	return 0;
}

/* Every key that both have is the same, but for two that are each file's own. */
static int check_keys(const struct gguf_header *first, const struct gguf_header *h, struct error *e)
{
	for (size_t i = 0; i < h->n_kv; i++) {
		const struct gguf_kv *kv = &h->kv[i], *other;
		char key[GGUF_NAME_MAX + 1];

		if (gguf_str_eq(kv->key, "split.no") || gguf_str_eq(kv->key, "general.alignment"))
			continue;
		snprintf(key, sizeof(key), "%.*s", NAME(kv->key));
		other = gguf_header_find(first, key);
		if (other &&
		    (other->type != kv->type || other->bytes != kv->bytes || memcmp(other->data, kv->data, kv->bytes)))
			return error_set(
				e, -EINVAL,
				"it is of another model than the first part: their %s differ; download the parts again",
				key);
	}
	return 0;
}

int gguf_split_check(const struct gguf_header *first, const struct gguf_header *h, uint32_t i, uint32_t count,
		     struct error *e)
{
	struct gguf_split s;
	int r = gguf_split_read(&s, h, e);

	if (r)
		return r;
	if (s.no != i || s.count != count)
		return error_set(e, -EINVAL,
				 "it says that it is part %u of %u, not part %u of %u; give the parts their names "
				 "back, or download them again",
				 s.no + 1, s.count, i + 1, count);
	return check_keys(first, h, e);
}
