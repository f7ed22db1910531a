/*
 * Parses the key-value section of a GGUF file.
 *
 * A string array costs a walk to skip, so the walk notes where each element lies: a tokenizer then reads its vocabulary
 * by index. Counts in the file are believed only as far as there are bytes to back them, so a lying count costs nothing.
 */
#include "daemon/gguf/gguf_own.h"

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

uint32_t gguf_kv_width(enum gguf_type type)
{
	return type_table[type].bytes;
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
	int r = 0;

	kv->key = gguf_take_str(c);
	type = gguf_take_u32(c);
	if (c->code)
		return c->code;
	if (!kv->key.n || kv->key.n > GGUF_NAME_MAX)
		return error_set(e, -EINVAL, "GGUF key of %llu bytes (1 to %d allowed): " DAMAGED,
				 (unsigned long long)kv->key.n, GGUF_NAME_MAX);
	if (type >= GGUF_TYPE_MAX)
		return error_set(e, -EINVAL, "GGUF key '%.*s' has unknown type %u: " DAMAGED, (int)kv->key.n, kv->key.p,
				 type);
	kv->type = type;
	kv->data = c->p + c->pos;
	if (type == GGUF_ARR)
		r = arr_parse(kv, c, e);
	else if (type == GGUF_STR)
		gguf_take_str(c);
	else
		gguf_take(c, type_table[type].bytes);
	kv->bytes = (size_t)(c->p + c->pos - kv->data);
	return r ? r : c->code;
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
