/* Look-up by bytes, by pair, and of the added tokens in running text. Built once, then only read. */
#include "daemon/text/vocab.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_bytes(const char *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3u;
	return (uint32_t)(h ^ h >> 32);
}

static uint32_t hash_pair(uint32_t left, uint32_t right)
{
	uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

/* Slots for n entries, at most half of them full, less one. */
static uint32_t mask_for(uint32_t n)
{
	uint32_t size = 2;

	while (size < 2 * n)
		size *= 2;
	return size - 1;
}

static bool spans_equal(struct text_span a, const char *p, size_t n)
{
	return a.n == n && !memcmp(a.p, p, n);
}

uint32_t vocab_find(const struct vocab *v, const char *p, size_t n)
{
	for (uint32_t i = hash_bytes(p, n) & v->slot_mask; v->slot[i] != TOKEN_NONE; i = (i + 1) & v->slot_mask)
		if (spans_equal(v->token[v->slot[i]], p, n))
			return v->slot[i];
	return TOKEN_NONE;
}

static bool spans_words(struct text_span t)
{
	for (uint32_t i = 1; i < t.n; i++)
		if (t.p[i] == ' ' && t.p[i - 1] != ' ')
			return true;
	return false;
}

/* Of equal tokens the first counts. */
static void insert_token(struct vocab *v, uint32_t id)
{
	struct text_span t = v->token[id];
	uint32_t i = hash_bytes(t.p, t.n) & v->slot_mask;

	for (; v->slot[i] != TOKEN_NONE; i = (i + 1) & v->slot_mask)
		if (spans_equal(v->token[v->slot[i]], t.p, t.n))
			return;
	v->slot[i] = id;
	v->spans_words = v->spans_words || spans_words(t);
	if (t.n > v->token_len_max)
		v->token_len_max = t.n;
}

int vocab_index(struct vocab *v)
{
	v->slot_mask = mask_for(v->n_token);
	v->slot = malloc(((size_t)v->slot_mask + 1) * sizeof(*v->slot));
	if (!v->slot)
		return -ENOMEM;
	memset(v->slot, 0xff, ((size_t)v->slot_mask + 1) * sizeof(*v->slot));
	memset(v->byte_id, 0xff, sizeof(v->byte_id));
	for (uint32_t id = 0; id < v->n_token; id++)
		if (v->token[id].n && (v->kind->indexed >> v->type[id] & 1))
			insert_token(v, id);
	for (uint32_t id = 0; id < v->n_token; id++)
		if (v->token[id].n == 1 && v->type[id] == v->kind->byte_type)
			v->byte_id[(unsigned char)v->token[id].p[0]] = id;
	return 0;
}

const struct merge_slot *vocab_find_merge(const struct vocab *v, uint32_t left, uint32_t right)
{
	for (uint32_t i = hash_pair(left, right) & v->merge_mask; v->merge[i].left != TOKEN_NONE;
	     i = (i + 1) & v->merge_mask)
		if (v->merge[i].left == left && v->merge[i].right == right)
			return &v->merge[i];
	return NULL;
}

/* A merge that names a token the vocabulary lacks can never apply, and is left out. */
static int insert_merge(struct vocab *v, struct text_span m, uint32_t rank, char *buf)
{
	const char *space = m.n > 1 ? memchr(m.p + 1, ' ', m.n - 1) : NULL;
	ssize_t l, r;
	uint32_t left, right, id, i;

	if (!space)
		return -EINVAL;
	l = v->kind->spell(buf, m.p, (size_t)(space - m.p));
	r = l < 0 ? -1 : v->kind->spell(buf + l, space + 1, (size_t)(m.p + m.n - space - 1));
	if (r < 0)
		return 0;
	left = vocab_find(v, buf, (size_t)l);
	right = vocab_find(v, buf + l, (size_t)r);
	id = vocab_find(v, buf, (size_t)(l + r));
	if (left == TOKEN_NONE || right == TOKEN_NONE || id == TOKEN_NONE || vocab_find_merge(v, left, right))
		return 0;
	for (i = hash_pair(left, right) & v->merge_mask; v->merge[i].left != TOKEN_NONE; i = (i + 1) & v->merge_mask)
		;
	v->merge[i] = (struct merge_slot){ left, right, rank, id };
	return 0;
}

int vocab_index_merges(struct vocab *v, const struct text_span *merge, uint32_t n_merge)
{
	uint32_t len_max = 1;
	char *buf;
	int r = 0;

	for (uint32_t i = 0; i < n_merge; i++)
		len_max = merge[i].n > len_max ? merge[i].n : len_max;
	v->merge_mask = mask_for(n_merge);
	v->merge = malloc(((size_t)v->merge_mask + 1) * sizeof(*v->merge));
	buf = malloc(len_max);
	if (!v->merge || !buf) {
		free(buf);
		return -ENOMEM;
	}
	memset(v->merge, 0xff, ((size_t)v->merge_mask + 1) * sizeof(*v->merge));
	for (uint32_t i = 0; !r && i < n_merge; i++)
		r = insert_merge(v, merge[i], i, buf);
	free(buf);
	return r;
}

static int compare_bytes(const void *a, const void *b, void *arg)
{
	const struct vocab *v = arg;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	struct text_span x = v->token[i], y = v->token[k];
	int d = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);

	return d ? d : x.n != y.n ? (x.n < y.n ? -1 : 1) : i < k ? -1 : i > k;
}

int vocab_index_added(struct vocab *v)
{
	v->added = malloc(((size_t)v->n_token + 1) * sizeof(*v->added));
	if (!v->added)
		return -ENOMEM;
	for (uint32_t id = 0; id < v->n_token; id++)
		if (v->token[id].n && (token_is_control(v->type[id]) || v->type[id] == TOKEN_USER))
			v->added[v->n_added++] = id;
	qsort_r(v->added, v->n_added, sizeof(*v->added), compare_bytes, v);
	return 0;
}

/* First in added[lo, hi) whose byte at depth is at least c; all of them agree before it. */
static uint32_t lower_bound(const struct vocab *v, uint32_t lo, uint32_t hi, uint32_t depth, int c)
{
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		struct text_span t = v->token[v->added[mid]];

		if (t.n > depth && (unsigned char)t.p[depth] >= c)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Walks the sorted list as if it were a trie: each byte narrows the range, and a token that ends there heads it. */
uint32_t vocab_match_added(const struct vocab *v, const char *p, size_t n, size_t n_control, uint32_t *id)
{
	uint32_t lo = 0, hi = v->n_added, best = 0;

	for (uint32_t depth = 0; depth < n && lo < hi; depth++) {
		int c = (unsigned char)p[depth];

		hi = lower_bound(v, lo, hi, depth, c + 1);
		lo = lower_bound(v, lo, hi, depth, c);
		for (uint32_t i = lo; i < hi && v->token[v->added[i]].n == depth + 1; i++) {
			if (token_is_control(v->type[v->added[i]]) && depth >= n_control)
				continue;
			*id = v->added[i];
			best = depth + 1;
			break;
		}
	}
	return best;
}
