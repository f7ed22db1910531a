/*
 * Metadata of a GGUF file: parsing the key-value section and typed access to it.
 *
 * A string array costs a walk to skip, so the walk notes where each element lies: a tokenizer then reads its vocabulary
 * by index. Counts in the file are believed only as far as there are bytes to back them, so a lying count costs nothing.
 */
#include "daemon/gguf/gguf_cursor.h"

#include <limits.h>
#include <stdlib.h>

static const struct {
	const char *name;
	uint8_t bytes; /* 0: not of fixed size */
} type_table[GGUF_TYPE_MAX] = {
	[GGUF_U8] = { "u8", 1 },   [GGUF_I8] = { "i8", 1 },   [GGUF_U16] = { "u16", 2 }, [GGUF_I16] = { "i16", 2 },
	[GGUF_U32] = { "u32", 4 }, [GGUF_I32] = { "i32", 4 }, [GGUF_F32] = { "f32", 4 }, [GGUF_BOOL] = { "bool", 1 },
	[GGUF_STR] = { "str", 0 }, [GGUF_ARR] = { "arr", 0 }, [GGUF_U64] = { "u64", 8 }, [GGUF_I64] = { "i64", 8 },
	[GGUF_F64] = { "f64", 8 },
};

const char *gguf_type_name(enum gguf_type type)
{
	return (unsigned int)type < GGUF_TYPE_MAX ? type_table[type].name : "?";
}

/* Each string takes at least its length field, which bounds n by the bytes at hand before anything is allocated. */
static int arr_index_strings(struct gguf_arr *a, struct gguf_cursor *c, struct error *e)
{
	uint32_t *str;

	if (a->n > (c->n - c->pos) / sizeof(uint64_t))
		return -ENODATA;
	str = malloc((a->n ? (size_t)a->n : 1) * sizeof(*str));
	if (!str)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF string array; free some memory");
	a->str = str;
	for (uint64_t i = 0; i < a->n && !c->code; i++) {
		str[i] = (uint32_t)(c->p + c->pos - a->data); /* < GGUF_HEADER_MAX */
		gguf_take_str(c);
	}
	return c->code;
}

static int arr_parse(struct gguf_kv *kv, struct gguf_cursor *c, struct error *e)
{
	struct gguf_arr *a = &kv->arr;
	uint32_t type = gguf_take_u32(c);
	uint64_t n = gguf_take_u64(c);

	if (c->code)
		return c->code;
	if (type >= GGUF_TYPE_MAX || type == GGUF_ARR)
		return error_set(
			e, -EINVAL,
			"GGUF key '%.*s' is an array of type %u, which gyre does not read; convert the model again",
			(int)kv->key.n, kv->key.p, type);
	a->type = type;
	a->n = n;
	a->data = c->p + c->pos;
	if (type == GGUF_STR)
		return arr_index_strings(a, c, e);
	if (n > SIZE_MAX / type_table[type].bytes)
		return -ENODATA;
	gguf_take(c, n * type_table[type].bytes);
	return c->code;
}

static int kv_parse_one(struct gguf_kv *kv, struct gguf_cursor *c, struct error *e)
{
	uint32_t type;

	kv->key = gguf_take_str(c);
	type = gguf_take_u32(c);
	if (c->code)
		return c->code;
	if (!kv->key.n || kv->key.n > GGUF_NAME_MAX)
		return error_set(e, -EINVAL,
				 "GGUF key of %llu bytes (1 to %d allowed): the file is damaged; download it again",
				 (unsigned long long)kv->key.n, GGUF_NAME_MAX);
	if (type >= GGUF_TYPE_MAX)
		return error_set(e, -EINVAL,
				 "GGUF key '%.*s' has unknown type %u: the file is damaged; download it again",
				 (int)kv->key.n, kv->key.p, type);
	kv->type = type;
	kv->data = c->p + c->pos;
	if (type == GGUF_ARR)
		return arr_parse(kv, c, e);
	if (type == GGUF_STR)
		gguf_take_str(c);
	else
		gguf_take(c, type_table[type].bytes);
	return c->code;
}

int gguf_kv_parse(struct gguf_kv *kv, size_t n_kv, struct gguf_cursor *c, struct error *e)
{
	for (size_t i = 0; i < n_kv; i++) {
		int r = kv_parse_one(&kv[i], c, e);

		if (r)
			return r;
	}
	return 0;
}

void gguf_kv_free(struct gguf_kv *kv, size_t n_kv)
{
	for (size_t i = 0; kv && i < n_kv; i++)
		free((uint32_t *)kv[i].arr.str);
	free(kv);
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

int gguf_get_u32(const struct gguf *g, const char *key, uint32_t *v)
{
	const struct gguf_kv *kv = gguf_kv_find(g, key);
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
	const struct gguf_kv *kv = gguf_kv_find(g, key);

	if (!kv)
		return -ENOENT;
	if (kv->type != GGUF_F32 && kv->type != GGUF_F64)
		return -EINVAL;
	*v = load_float(kv->type, kv->data);
	return 0;
}

int gguf_get_bool(const struct gguf *g, const char *key, bool *v)
{
	const struct gguf_kv *kv = gguf_kv_find(g, key);

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
	const struct gguf_kv *kv = gguf_kv_find(g, key);

	if (!kv)
		return -ENOENT;
	if (kv->type != GGUF_STR)
		return -EINVAL;
	*v = load_str(kv->data);
	return 0;
}

int gguf_get_arr(const struct gguf *g, const char *key, struct gguf_arr *v)
{
	const struct gguf_kv *kv = gguf_kv_find(g, key);

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
	return load_float(a->type, a->data + i * type_table[a->type].bytes);
}

int64_t gguf_arr_int(const struct gguf_arr *a, uint64_t i)
{
	return load_int(a->type, a->data + i * type_table[a->type].bytes);
}

int gguf_str_cmp(struct gguf_str a, struct gguf_str b)
{
	uint64_t n = a.n < b.n ? a.n : b.n;
	int r = memcmp(a.p, b.p, (size_t)n);

	return r ? r : (a.n > b.n) - (a.n < b.n);
}

bool gguf_str_eq(struct gguf_str s, const char *z)
{
	return s.n == strlen(z) && !memcmp(s.p, z, (size_t)s.n);
}
