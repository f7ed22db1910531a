#include "daemon/sample/log.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define MANTISSA_BITS  23
#define SQRT_HALF_BITS 0x3f3504f3 /* 0.70710678f: mantissas lie in [sqrt(1/2), sqrt(2)) */

/* ln x = e ln 2 + 2 atanh((m - 1) / (m + 1)), |(m - 1) / (m + 1)| <= 0.1716: seven terms leave 1e-12. */
float sample_log(float x)
{
	double m, s, s2, p;
	int32_t bits, e;
	float mantissa;

	if (isinf(x) && x > 0)
		return x;
	if (!(x > 0))
		return NAN;
	memcpy(&bits, &x, sizeof(bits));
	e = (bits - SQRT_HALF_BITS) >> MANTISSA_BITS;
	bits -= (int32_t)((uint32_t)e << MANTISSA_BITS);
	memcpy(&mantissa, &bits, sizeof(mantissa));
	m = mantissa;
	s = (m - 1) / (m + 1);
	s2 = s * s;
	p = 1.0 / 13;
	for (int k = 11; k >= 1; k -= 2)
		p = p * s2 + 1.0 / k;
	return (float)(e * 0.69314718055994530942 + 2 * s * p);
}
