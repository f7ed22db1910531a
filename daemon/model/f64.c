#include "daemon/model/f64.h"

#include <stdint.h>
#include <string.h>

#define PI     3.14159265358979323846
#define LN2_HI 6.93147180369123816490e-01 /* 32 bits: k * LN2_HI is exact */
#define LN2_LO 1.90821492927058770002e-10
/* pi/2 in three parts, the first two of 33 bits: k * part is exact for k < 2^20. */
#define PIO2_1 1.57079632673412561417e+00
#define PIO2_2 6.07710050630396597660e-11
#define PIO2_3 2.02226624879595063154e-21

static double pow2(int k)
{
	uint64_t bits = (uint64_t)(1023 + k) << 52;
	double x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

double f64_exp(double x)
{
	int k = (int)(x / (LN2_HI + LN2_LO) + (x < 0 ? -0.5 : 0.5));
	double r = (x - k * LN2_HI) - k * LN2_LO, sum = 1;

	for (int i = 15; i > 0; i--)
		sum = 1 + sum * r / i;
	return sum * pow2(k);
}

/* The log of the mantissa in [sqrt(1/2), sqrt(2)) as 2 atanh(s). */
double f64_log(double x)
{
	double m, s, s2, sum = 0;
	uint64_t bits;
	int k;

	memcpy(&bits, &x, sizeof(bits));
	k = (int)(bits >> 52) - 1023;
	bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
	memcpy(&m, &bits, sizeof(m));
	if (m > 1.4142135623730951) {
		m /= 2;
		k++;
	}
	s = (m - 1) / (m + 1);
	s2 = s * s;
	for (int i = 23; i > 0; i -= 2)
		sum = sum * s2 + 1.0 / i;
	return k * LN2_HI + (2 * s * sum + k * LN2_LO);
}

void f64_sincos(double x, double *sin, double *cos)
{
	int64_t k = (int64_t)(x / (PI / 2) + 0.5);
	double r = ((x - (double)k * PIO2_1) - (double)k * PIO2_2) - (double)k * PIO2_3, r2 = r * r, s = 1, c = 1;

	for (int i = 20; i > 0; i -= 2) {
		c = 1 - c * r2 / (i * (i - 1));
		s = 1 - s * r2 / (i * (i + 1));
	}
	s *= r;
	*sin = k & 1 ? c : s;
	*cos = k & 1 ? s : c;
	if (k & 2)
		*sin = -*sin;
	if ((k + 1) & 2)
		*cos = -*cos;
}
