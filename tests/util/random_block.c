#include "tests/util/random_block.h"

#include "kernels/quant.h"

#include <string.h>

uint32_t random_next(uint32_t *random)
{
	return (*random = *random * 1664525u + 1013904223u) >> 8;
}

static uint16_t random_f16(uint32_t *random, int exponent)
{
	return (uint16_t)((uint32_t)(exponent + 15) << 10 | (random_next(random) & 0x3ff));
}

void random_block(uint32_t *random, uint32_t type, uint8_t *p, size_t n)
{
	uint16_t d = random_f16(random, type == QUANT_Q8_0 || type == QUANT_IQ4_NL ? -10 : -7),
		 m = (uint16_t)(random_f16(random, -5) | 0x8000);
	float x = ((float)(random_next(random) & 0xffff) / 65536 - 0.5f) * 0.3f;
	uint32_t bits;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)random_next(random);
	memcpy(&bits, &x, 4);
	if (type == QUANT_F32) {
		memcpy(p, &bits, 4);
	} else if (type == QUANT_BF16) {
		memcpy(p, (uint8_t *)&bits + 2, 2);
	} else if (type == QUANT_F16) {
		d = (uint16_t)(random_f16(random, -4) | (random_next(random) & 1) << 15);
		memcpy(p, &d, 2);
	} else if (type == QUANT_Q4_K || type == QUANT_Q5_K) {
		d = random_f16(random, -11);
		m = random_f16(random, -9);
		memcpy(p, &d, 2);
		memcpy(p + 2, &m, 2);
	} else if (type == QUANT_Q6_K || type == QUANT_Q3_K) {
		d = random_f16(random, type == QUANT_Q6_K ? -14 : -11);
		memcpy(p + n - 2, &d, 2);
	} else if (type == QUANT_Q2_K) {
		d = random_f16(random, -8);
		m = random_f16(random, -8);
		memcpy(p + n - 4, &d, 2);
		memcpy(p + n - 2, &m, 2);
	} else if (type == QUANT_IQ4_XS) {
		d = random_f16(random, -14);
		memcpy(p, &d, 2);
	} else if (type == QUANT_MXFP4) {
		p[0] = (uint8_t)(120 + random_next(random) % 4);
	} else {
		memcpy(p, &d, 2);
		if (type == QUANT_Q4_1 || type == QUANT_Q5_1)
			memcpy(p + 2, &m, 2);
	}
}
