/* Names of the KV types and sizes of stored K and V; layouts in kernels.h. */
#include "kernels/kvq_q8.h"

#include <string.h>

static const char *const names[KVQ_TYPE_MAX] = { [KVQ_F16] = "f16", [KVQ_Q8_0] = "q8_0", [KVQ_F32] = "f32" };

const char *kvq_name(enum kvq_type type)
{
	return type < KVQ_TYPE_MAX ? names[type] : NULL;
}

enum kvq_type kvq_parse(const char *name)
{
	int i = 0;

	while (i < KVQ_TYPE_MAX && strcmp(name, names[i]))
		i++;
	return (enum kvq_type)i;
}

size_t kvq_bytes(enum kvq_type type, int dim)
{
	size_t n = (size_t)dim;

	if (type != KVQ_Q8_0)
		return KV_BLOCK * n * (type == KVQ_F16 ? sizeof(uint16_t) : sizeof(float));
	return (n + KVQ_Q8_LEN - 1) / KVQ_Q8_LEN * KVQ_Q8_BYTES;
}
