/* What the 256-element types share: a decoded block, and the product over it. */
#ifndef GYRE_KERNELS_REF_K_H
#define GYRE_KERNELS_REF_K_H

#include "kernels/ref/panel.h"

/* Value k = d * sc[k / sub] * q[k] - dmin * min[k / sub]. */
struct k_block {
	float d, dmin;
	bool has_min;
	int sub; /* elements a sub-block: 16 or 32 */
	int sc[16], min[16];
	int8_t q[256];
};

typedef void k_decode_fn(struct k_block *o, const uint8_t *block);

void k_dequantize(float *y, const uint8_t *block, k_decode_fn *decode);

/* The chains of the contract (kernels.h), for a type whose panels hold what `decode` reads once unpacked. */
void k_matmul(uint32_t type, k_decode_fn *decode, MATMUL_ARGS);

/* k_pack.c: packing (quant.h) of the types whose bits a panel arranges in its own way. */
void k_pack4(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block);
void k_pack5(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block);
void k_pack6(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block);

#endif
