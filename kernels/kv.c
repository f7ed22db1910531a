/* Sizes of stored K and V; layouts in kernels.h. */
#include "kernels/kernels.h"

size_t kv_k_bytes(enum kv_type type, int head_dim)
{
	(void)type;
	return (size_t)KV_BLOCK * (size_t)head_dim * sizeof(uint16_t);
}

size_t kv_v_bytes(enum kv_type type, int head_dim)
{
	(void)type;
	return (size_t)KV_BLOCK * (size_t)head_dim * sizeof(uint16_t);
}
