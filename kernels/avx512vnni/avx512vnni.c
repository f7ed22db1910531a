/* Installs what avx512vnni does better. */
#include "kernels/isa.h"

void kernels_avx512vnni_override(struct kernels *k)
{
	(void)k;
}
