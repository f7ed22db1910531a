/* Per-type functions of ref/, for the table in quant.c. */
#ifndef GYRE_KERNELS_REF_TYPES_H
#define GYRE_KERNELS_REF_TYPES_H

#include "kernels/quant.h"

#define REF_TYPE(name)                                                                         \
	void ref_dequantize_##name(float *y, const void *block);                               \
	void ref_pack_##name(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block); \
	void ref_unpack_##name(void *block, const void *panel_block, int r)

REF_TYPE(f32);
REF_TYPE(f16);
REF_TYPE(bf16);
REF_TYPE(q4_0);
REF_TYPE(q4_1);
REF_TYPE(q5_0);
REF_TYPE(q5_1);
REF_TYPE(q8_0);
REF_TYPE(q4_k);
REF_TYPE(q5_k);
REF_TYPE(q6_k);
REF_TYPE(q2_k);
REF_TYPE(q3_k);
REF_TYPE(iq4_nl);
REF_TYPE(iq4_xs);
REF_TYPE(mxfp4);

#endif
