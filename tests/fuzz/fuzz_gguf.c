/*
 * A model file is downloaded from strangers. Whatever its header says, parsing it must stay inside its bytes, and what
 * the parser lets through must be readable to the last element.
 */
#include "daemon/gguf/gguf.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint64_t file_bytes = n + 4096; /* some tensors fit, some do not */
	struct gguf *g = NULL;
	struct error e;

	if (gguf_parse(&g, data, n, file_bytes, &e))
		return 0;
	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);

		touch(kv->key);
		if (kv->type == GGUF_ARR)
			touch_array(&kv->arr);
	}
	for (size_t i = 0; i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		touch(t->name);
		if (t->offset > file_bytes || t->bytes > file_bytes - t->offset)
			__builtin_trap();
	}
	gguf_close(g);
	return 0;
}
