/*
 * Asking a model's headers: keys and tensors by name, values by type.
 */
#include "daemon/gguf/gguf_own.h"

#include <stdlib.h>

static int cmp_str(struct gguf_str a, struct gguf_str b)
{
	uint64_t n = a.n < b.n ? a.n : b.n;
	int r = memcmp(a.p, b.p, (size_t)n);

	return r ? r : (a.n > b.n) - (a.n < b.n);
}

static int cmp_key(const void *a, const void *b)
{
	return cmp_str((*(const struct gguf_kv *const *)a)->key, (*(const struct gguf_kv *const *)b)->key);
}

static int cmp_name(const void *a, const void *b)
{
	return cmp_str((*(const struct gguf_tensor *const *)a)->name, (*(const struct gguf_tensor *const *)b)->name);
}

int gguf_index_keys(struct gguf_header *h, struct error *e)
{
	const struct gguf_kv **k = h->kv_by_key;

	for (size_t i = 0; i < h->n_kv; i++)
		k[i] = &h->kv[i];
	qsort(k, h->n_kv, sizeof(*k), cmp_key);
	for (size_t i = 1; i < h->n_kv; i++)
		if (!cmp_key(&k[i - 1], &k[i]))
			return error_set(e, -EINVAL, "GGUF key '%.*s' appears twice: " DAMAGED, NAME(k[i]->key));
	return 0;
}

int gguf_index_names(struct gguf *g, struct error *e)
{
	const struct gguf_tensor **t = g->tensor_by_name;

	for (size_t i = 0; i < g->n_tensor; i++)
		t[i] = &g->tensor[i];
	qsort(t, g->n_tensor, sizeof(*t), cmp_name);
	for (size_t i = 1; i < g->n_tensor; i++) {
		uint32_t a = t[i - 1]->file + 1, b = t[i]->file + 1;

		if (cmp_name(&t[i - 1], &t[i]))
			continue;
		if (a == b)
			return error_set(e, -EINVAL, "tensor '%.*s' appears twice: " DAMAGED, NAME(t[i]->name));
		return error_set(e, -EINVAL,
				 "tensor '%.*s' is in part %u and in part %u: they are not parts of one model; "
				 "download them again",
				 NAME(t[i]->name), a < b ? a : b, a < b ? b : a);
	}
	return 0;
}

const struct gguf_kv *gguf_header_find(const struct gguf_header *h, const char *key)
{
	struct gguf_kv probe = { .key = { key, strlen(key) } };
	const struct gguf_kv *pp = &probe;
	const struct gguf_kv **hit = bsearch(&pp, h->kv_by_key, h->n_kv, sizeof(pp), cmp_key);

	return hit ? *hit : NULL;
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name)
{
	struct gguf_tensor probe = { .name = { name, strlen(name) } };
	const struct gguf_tensor *pp = &probe;
	const struct gguf_tensor **hit = bsearch(&pp, g->tensor_by_name, g->n_tensor, sizeof(pp), cmp_name);

	return hit ? *hit : NULL;
}

#define LOAD(type, p)                         \
	({                                    \
		type v_;                      \
		memcpy(&v_, (p), sizeof(v_)); \
		v_;                           \
	})

static bool type_is_integer(enum gguf_type type)
{
	return type <= GGUF_I32 || type == GGUF_U64 || type == GGUF_I64;
}

/* Every integer type as i64; u64 beyond it saturates. */
static int64_t load_int(enum gguf_type type, const uint8_t *p)
{
	uint64_t u;

	switch (type) {
	case GGUF_U8:
	case GGUF_BOOL:
		return *p;
	case GGUF_I8:
		return (int8_t)*p;
	case GGUF_U16:
		return LOAD(uint16_t, p);
	case GGUF_I16:
		return LOAD(int16_t, p);
	case GGUF_U32:
		return LOAD(uint32_t, p);
	case GGUF_I32:
		return LOAD(int32_t, p);
	case GGUF_I64:
		return LOAD(int64_t, p);
	case GGUF_U64:
		u = LOAD(uint64_t, p);
		return u > INT64_MAX ? INT64_MAX : (int64_t)u;
	default:
		return 0;
	}
}

int gguf_header_get_u32(const struct gguf_header *h, const char *key, uint32_t *v)
{
	const struct gguf_kv *kv = gguf_header_find(h, key);
	int64_t i;

	if (!kv)
		return -ENOENT;
	if (!type_is_integer(kv->type))
		return -EINVAL;
	i = load_int(kv->type, kv->data);
	if (i < 0 || i > UINT32_MAX)
		return -EINVAL;
	*v = (uint32_t)i;
	return 0;
}

int gguf_get_u32(const struct gguf *g, const char *key, uint32_t *v)
{
	return gguf_header_get_u32(g->header[0], key, v);
}

/* An f64 out of float's range becomes an infinity without asking the C standard. */
static float load_float(enum gguf_type type, const uint8_t *p)
{
	double d;

	if (type == GGUF_F32)
		return LOAD(float, p);
	d = type == GGUF_F64 ? LOAD(double, p) : 0;
	return d > __FLT_MAX__ ? __builtin_inff() : d < -__FLT_MAX__ ? -__builtin_inff() : (float)d;
}

int gguf_get_f32(const struct gguf *g, const char *key, float *v)
{
	const struct gguf_kv *kv = gguf_header_find(g->header[0], key);

	if (!kv)
		return -ENOENT;
	if (kv->type != GGUF_F32 && kv->type != GGUF_F64)
		return -EINVAL;
	*v = load_float(kv->type, kv->data);
	return 0;
}

int gguf_get_bool(const struct gguf *g, const char *key, bool *v)
{
	const struct gguf_kv *kv = gguf_header_find(g->header[0], key);

	if (!kv)
		return -ENOENT;
	if (kv->type != GGUF_BOOL)
		return -EINVAL;
	*v = *kv->data != 0;
	return 0;
}

/* p: a length and as many bytes, checked when the file was opened. */
static struct gguf_str load_str(const uint8_t *p)
{
	return (struct gguf_str){ (const char *)p + sizeof(uint64_t), LOAD(uint64_t, p) };
}

int gguf_get_str(const struct gguf *g, const char *key, struct gguf_str *v)
{
	const struct gguf_kv *kv = gguf_header_find(g->header[0], key);

	if (!kv)
		return -ENOENT;
	if (kv->type != GGUF_STR)
		return -EINVAL;
	*v = load_str(kv->data);
	return 0;
}

int gguf_get_arr(const struct gguf *g, const char *key, struct gguf_arr *v)
{
	const struct gguf_kv *kv = gguf_header_find(g->header[0], key);

	if (!kv)
		return -ENOENT;
	if (kv->type != GGUF_ARR)
		return -EINVAL;
	*v = kv->arr;
	return 0;
}

struct gguf_str gguf_arr_str(const struct gguf_arr *a, uint64_t i)
{
	return load_str(a->data + a->str[i]);
}

float gguf_arr_f32(const struct gguf_arr *a, uint64_t i)
{
	return load_float(a->type, a->data + i * gguf_kv_width(a->type));
}

int64_t gguf_arr_int(const struct gguf_arr *a, uint64_t i)
{
	return load_int(a->type, a->data + i * gguf_kv_width(a->type));
}

bool gguf_str_eq(struct gguf_str s, const char *z)
{
	return s.n == strlen(z) && !memcmp(s.p, z, (size_t)s.n);
}

size_t gguf_n_kv(const struct gguf *g)
{
	return g->header[0]->n_kv;
}

const struct gguf_kv *gguf_kv_at(const struct gguf *g, size_t i)
{
	return &g->header[0]->kv[i];
}

size_t gguf_n_tensor(const struct gguf *g)
{
	return g->n_tensor;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i)
{
	return &g->tensor[i];
}

uint32_t gguf_version(const struct gguf *g)
{
	return g->header[0]->version;
}

uint64_t gguf_bytes(const struct gguf *g)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < g->n_file; i++)
		n += g->header[i]->file.bytes;
	return n;
}

uint32_t gguf_n_file(const struct gguf *g)
{
	return g->n_file;
}

const struct gguf_file *gguf_file_at(const struct gguf *g, uint32_t i)
{
	return &g->header[i]->file;
}
