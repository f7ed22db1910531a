#include "tests/util/refile.h"

#include "daemon/gguf/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TENSOR_MAX 1024

/* A tensor to write: of several, their rows together. */
struct out {
	char name[80];
	const struct gguf_tensor *of[REFILE_JOIN_MAX]; /* of[0] NULL: zeroes */
	uint32_t n_of;
	uint64_t n_row; /* of all */
};

struct refiled {
	FILE *f;
	const struct gguf *g;
	const struct refile *r;
	struct out out[TENSOR_MAX];
	uint32_t n_out, n_layer, n_nextn; /* n_layer: with those that predict further tokens */
	uint64_t n_kv;
	int n_joined;
};

static void put(struct refiled *w, const void *p, size_t n)
{
	if (n && fwrite(p, 1, n, w->f) != n)
		abort();
}

static void put_str(struct refiled *w, const char *s, uint64_t n)
{
	put(w, &n, sizeof(n));
	put(w, s, n);
}

static void put_number(struct refiled *w, const char *key, size_t n, uint32_t v)
{
	put_str(w, key, n);
	put(w, &(uint32_t){ GGUF_U32 }, 4);
	put(w, &v, 4);
	w->n_kv++;
}

/* Whether a key is "<arch>.name". */
static bool is_key(struct gguf_str key, const char *name)
{
	const char *dot = memchr(key.p, '.', key.n);
	size_t n = dot ? (size_t)(key.p + key.n - dot - 1) : 0;

	return dot && n == strlen(name) && !memcmp(dot + 1, name, n);
}

static void put_keys(struct refiled *w)
{
	for (size_t i = 0; i < gguf_n_kv(w->g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(w->g, i);
		char key[80];

		if (is_key(kv->key, "block_count")) {
			put_number(w, kv->key.p, kv->key.n, w->n_layer + w->r->n_nextn);
			snprintf(key, sizeof(key), "%.*s.nextn_predict_layers", (int)strcspn(kv->key.p, "."),
				 kv->key.p);
			put_number(w, key, strlen(key), w->n_nextn + w->r->n_nextn);
			continue;
		}
		if (is_key(kv->key, "nextn_predict_layers"))
			continue;
		put_str(w, kv->key.p, kv->key.n);
		put(w, &(uint32_t){ kv->type }, 4);
		put(w, kv->data, kv->bytes);
		w->n_kv++;
	}
}

static const struct gguf_tensor *of_layer(const struct refiled *w, uint32_t layer, const char *name)
{
	char whole[80];

	snprintf(whole, sizeof(whole), "blk.%u.%s", layer, name);
	return gguf_tensor_find(w->g, whole);
}

static uint32_t n_of(const struct refile_join *j)
{
	uint32_t n = 0;

	while (n < REFILE_JOIN_MAX && j->of[n])
		n++;
	return n;
}

static bool has_all(const struct refiled *w, const struct refile_join *j, uint32_t layer)
{
	const struct gguf_tensor *first = of_layer(w, layer, j->of[0]);

	for (uint32_t i = 0; i < n_of(j); i++) {
		const struct gguf_tensor *t = of_layer(w, layer, j->of[i]);

		if (!t || t->type != first->type || (t->n_dim > 1 && t->ne[0] != first->ne[0]))
			return false;
	}
	return true;
}

static struct out *add(struct refiled *w, const char *name, const struct gguf_tensor *t)
{
	struct out *o = &w->out[w->n_out++];

	if (w->n_out == TENSOR_MAX)
		abort();
	snprintf(o->name, sizeof(o->name), "%s", name);
	o->n_of = 1;
	o->of[0] = t;
	o->n_row = !t ? 8 : t->n_dim < 2 ? t->ne[0] : t->ne[1];
	return o;
}

/* Whether t goes into a joined tensor, which is added where its first part lies. */
static bool join(struct refiled *w, const struct gguf_tensor *t)
{
	for (uint32_t layer = 0; layer < w->n_layer; layer++)
		for (uint32_t k = 0; k < w->r->n_join; k++) {
			const struct refile_join *j = &w->r->join[k];
			char name[80];
			struct out *o = NULL;

			for (uint32_t i = 0; i < n_of(j); i++) {
				if (of_layer(w, layer, j->of[i]) != t || !has_all(w, j, layer))
					continue;
				if (i)
					return true;
				snprintf(name, sizeof(name), "blk.%u.%s", layer, j->to);
				o = add(w, name, t);
				w->n_joined++;
				for (; o->n_of < n_of(j); o->n_of++) {
					const struct gguf_tensor *next = of_layer(w, layer, j->of[o->n_of]);

					o->of[o->n_of] = next;
					o->n_row += next->n_dim < 2 ? next->ne[0] : next->ne[1];
				}
				return true;
			}
		}
	return false;
}

static void list(struct refiled *w)
{
	char name[80];

	for (size_t i = 0; i < gguf_n_tensor(w->g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(w->g, i);

		snprintf(name, sizeof(name), "%.*s", (int)t->name.n, t->name.p);
		if (!join(w, t))
			add(w, name, t);
	}
	for (uint32_t k = 0; k < w->r->n_nextn; k++) {
		for (size_t i = 0; i < gguf_n_tensor(w->g); i++) {
			const struct gguf_tensor *t = gguf_tensor_at(w->g, i);

			if (t->name.n < 6 || memcmp(t->name.p, "blk.0.", 6))
				continue;
			snprintf(name, sizeof(name), "blk.%u.%.*s", w->n_layer + k, (int)t->name.n - 6, t->name.p + 6);
			add(w, name, t);
		}
		snprintf(name, sizeof(name), "blk.%u.nextn.eh_proj.weight", w->n_layer + k);
		add(w, name, gguf_tensor_at(w->g, 0));
	}
	for (uint32_t i = 0; i < 2; i++)
		if (w->r->extra[i])
			add(w, w->r->extra[i], NULL);
}

static uint64_t out_bytes(const struct out *o)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < o->n_of; i++)
		n += o->of[i] ? o->of[i]->bytes : 32;
	return n;
}

static void put_infos(struct refiled *w)
{
	uint64_t offset = 0;

	for (struct out *o = w->out; o < w->out + w->n_out; o++) {
		struct gguf_tensor t = o->of[0] ? *o->of[0] : (struct gguf_tensor){ .n_dim = 1, .ne = { 8, 1, 1, 1 } };

		t.ne[t.n_dim > 1] = o->n_row;
		put_str(w, o->name, strlen(o->name));
		put(w, &t.n_dim, 4);
		put(w, t.ne, t.n_dim * sizeof(t.ne[0]));
		put(w, &t.type, 4);
		put(w, &offset, 8);
		offset += (out_bytes(o) + 31) / 32 * 32;
	}
}

static void put_data(struct refiled *w, const struct out *o)
{
	static uint8_t data[1 << 22];

	while (ftell(w->f) % 32)
		fputc(0, w->f);
	if (!o->of[0]) {
		put(w, (uint8_t[32]){ 0 }, 32);
		return;
	}
	for (uint64_t x = 0; x < o->of[0]->ne[2]; x++)
		for (uint32_t i = 0; i < o->n_of; i++) {
			const struct gguf_tensor *t = o->of[i];
			uint64_t n = t->bytes / t->ne[2];

			if (n > sizeof(data) ||
			    pread(gguf_file_at(w->g, t->file)->fd, data, n, (off_t)(t->offset + x * n)) != (ssize_t)n)
				abort();
			put(w, data, n);
		}
}

static void put_all(struct refiled *w)
{
	put(w, "GGUF", 4);
	put(w, &(uint32_t){ 3 }, 4);
	put(w, (uint64_t[]){ w->n_out, 0 }, 16); /* corrected below */
	put_keys(w);
	put_infos(w);
	for (uint32_t i = 0; i < w->n_out; i++)
		put_data(w, &w->out[i]);
	while (ftell(w->f) % 32)
		fputc(0, w->f);
	fseek(w->f, 16, SEEK_SET);
	put(w, &w->n_kv, 8);
}

int refile_write(const char *to, const char *from, const struct refile *r)
{
	static struct refiled w;
	struct gguf *g = NULL;
	struct error e;

	w = (struct refiled){ .f = fopen(to, "wb"), .r = r };
	if (!w.f || gguf_open(&g, from, &e) < 0) {
		if (w.f)
			fclose(w.f);
		return -1;
	}
	w.g = g;
	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);

		if (is_key(kv->key, "block_count"))
			memcpy(&w.n_layer, kv->data, 4);
		if (is_key(kv->key, "nextn_predict_layers"))
			memcpy(&w.n_nextn, kv->data, 4);
	}
	list(&w);
	put_all(&w);
	gguf_close(g);
	return fclose(w.f) ? -1 : w.n_joined;
}
