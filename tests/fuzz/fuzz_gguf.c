/*
 * A model file is downloaded from strangers. Whatever its header says, parsing it must stay inside its bytes, and what
 * the parser lets through must be readable to the last element. Where a second GGUF begins in the input, it is the next part of the
 * model.
 */
#include "daemon/gguf/gguf_own.h"

#define PART_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static volatile uint64_t sink;

static void touch(struct gguf_str s)
{
	for (uint64_t i = 0; i < s.n; i++)
		sink += (uint8_t)s.p[i];
}

static void touch_array(const struct gguf_arr *a)
{
	for (uint64_t i = 0; i < a->n; i++) {
		if (a->type == GGUF_STR)
			touch(gguf_arr_str(a, i));
		else
			sink += (uint64_t)gguf_arr_int(a, i) + (gguf_arr_f32(a, i) > 0);
	}
}

/* Each tensor lies in its own file, and is found by its name. */
static void touch_tensor(const struct gguf *g, const struct gguf_tensor *t)
{
	char name[GGUF_NAME_MAX + 1];
	uint64_t bytes;

	touch(t->name);
	if (t->file >= gguf_n_file(g))
		__builtin_trap();
	bytes = gguf_file_at(g, t->file)->bytes;
	if (t->offset > bytes || t->bytes > bytes - t->offset)
		__builtin_trap();
	memcpy(name, t->name.p, t->name.n);
	name[t->name.n] = 0;
	if (strlen(name) == t->name.n && gguf_tensor_find(g, name) != t)
		__builtin_trap();
}

static void touch_model(const struct gguf *g)
{
	char name[16];

	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);

		touch(kv->key);
		touch((struct gguf_str){ (const char *)kv->data, kv->bytes });
		if (kv->type == GGUF_ARR)
			touch_array(&kv->arr);
	}
	for (size_t i = 0; i < gguf_n_tensor(g); i++)
		touch_tensor(g, gguf_tensor_at(g, i));
	gguf_name(g, name, sizeof(name));
	sink += strlen(name);
}

/* The bytes of the first part: up to the next one's magic. */
static size_t part_bytes(const uint8_t *data, size_t n)
{
	const uint8_t *next = n > 4 ? memmem(data + 4, n - 4, "GGUF\3\0\0\0", 8) : NULL;

	return next ? (size_t)(next - data) : n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gguf_header *h[PART_MAX];
	struct gguf *g = NULL;
	struct error e;
	uint32_t n_part = 0;

	while (n && n_part < PART_MAX) {
		size_t bytes = n_part + 1 < PART_MAX ? part_bytes(data, n) : n;

		/* Of a file that goes on: some tensors fit, some do not. */
		if (gguf_header_parse(&h[n_part], data, bytes, bytes + 4096, &e))
			break;
		n_part++;
		data += bytes;
		n -= bytes;
	}
	if (n_part && gguf_join(&g, h, n_part, &e) == 0) {
		touch_model(g);
		gguf_close(g);
		n_part = 0;
	}
	while (n_part)
		gguf_header_free(h[--n_part]);
	return 0;
}
