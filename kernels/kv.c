/* Names of the KV types and sizes of stored K and V; layouts in kernels.h. */
#include "kernels/kv_q8.h"

#include <string.h>

static const char *const names[KV_TYPE_MAX] = { [KV_F16] = "f16", [KV_Q8_0] = "q8_0" };

const char *kv_type_name(enum kv_type type)
{
	return type < KV_TYPE_MAX ? names[type] : NULL;
}

enum kv_type kv_type_parse(const char *name)
{
	int i = 0;

	while (i < KV_TYPE_MAX && strcmp(name, names[i]))
		i++;
	return (enum kv_type)i;
}

size_t kv_part_bytes(enum kv_type type, int dim)
{
	size_t n = (size_t)dim;

	return type == KV_F16 ? KV_BLOCK * n * sizeof(uint16_t) : (n + KV_Q8_LEN - 1) / KV_Q8_LEN * KV_Q8_BYTES;
}
