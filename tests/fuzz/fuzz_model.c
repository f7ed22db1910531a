/*
 * What a stranger's metadata make of his tensors: an architecture, sizes, layers, pieces cut out of tensors, shares of nodes and places in
 * memory, all before a byte of a tensor is read. Whatever a header says, each is refused with a word, or stays within the file.
 */
#include "daemon/model/model.h"
#include "daemon/weights/places.h"

#include <stdlib.h>

#define FILE_BYTES (1ull << 36) /* which the header's tensors may claim */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Nothing is multiplied here: the kernels of all instruction sets would only be compiled. */
enum kernels_isa kernels_select(struct kernels *k, enum kernels_isa isa)
{
	(void)k;
	(void)isa;
	abort();
}

/* From its first row to its last, with what lies between them. */
static void check_extent(const struct gguf_tensor *t)
{
	uint64_t n_row = t->n_dim < 2 ? t->ne[0] : t->ne[1] * t->ne[2] * t->ne[3], bytes = t->bytes;

	if (!quant_info(t->type))
		return;
	if (t->run)
		bytes += (n_row / t->run - 1) * t->gap * (t->bytes / n_row);
	if (t->offset > FILE_BYTES || bytes > FILE_BYTES - t->offset)
		__builtin_trap();
}

static void lay_out(struct gguf *g, uint32_t n_node)
{
	struct weights w = { .gguf = g };
	uint64_t bytes[NODE_MAX] = { 0 };
	struct error e;

	if (model_plan(&w.plan, g, n_node, &e) < 0)
		return;
	for (size_t i = 0; i < gguf_n_tensor(g); i++)
		check_extent(gguf_tensor_at(g, i));
	weights_lay_out(&w, bytes, &e);
	free(w.tensor);
	free(w.part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gguf *g = NULL;
	struct error e;

	if (gguf_parse(&g, data, n, FILE_BYTES, &e) < 0)
		return 0;
	for (uint32_t n_node = 1; n_node <= 3; n_node++) /* a second time nothing is left to cut */
		lay_out(g, n_node);
	gguf_close(g);
	return 0;
}
