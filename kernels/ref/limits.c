#include "kernels/isa.h"

static uint64_t limit_read(const void *p, size_t bytes, int n_stream, size_t ahead)
{
	const uint64_t *x = p;
	size_t n = bytes / sizeof(*x) / (size_t)n_stream;
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t s = 0; s < (size_t)n_stream; s++) {
			if (ahead && i % 8 == 0)
				__builtin_prefetch((const char *)&x[s * n + i] + ahead);
			sum ^= x[s * n + i];
		}
	return sum;
}

static uint64_t limit_mul_add(uint64_t n)
{
	int32_t w = 3, x = 5, a = 0, b = 0, c = 0, d = 0;

	for (uint64_t i = 0; i < n; i++) {
		__asm__ volatile("" : "+r"(w), "+r"(x));
		a += w * x;
		b += (w + 1) * x;
		c += (w + 2) * x;
		d += (w + 3) * x;
	}
	__asm__ volatile("" : : "r"(a), "r"(b), "r"(c), "r"(d));
	return n * 4;
}

void limits_ref_fill(struct limits *l)
{
	*l = (struct limits){ limit_read, limit_mul_add };
}
