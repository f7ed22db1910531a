#include "daemon/emit/hold.h"

#include <string.h>

/* Length of the longest tail of p[n] that is a proper prefix of stop[len]. */
static uint32_t partial_match(const uint8_t *p, uint32_t n, const uint8_t *stop, uint32_t len)
{
	for (uint32_t k = len - 1 < n ? len - 1 : n; k > 0; k--)
		if (!memcmp(p + n - k, stop, k))
			return k;
	return 0;
}

uint32_t hold_stop(const struct sampling *s, const uint8_t *p, uint32_t n, bool *is_stop)
{
	uint32_t first = n, held = 0;

	*is_stop = false;
	for (uint32_t i = 0; i < s->n_stop; i++) {
		const uint8_t *at = memmem(p, n, s->stop[i], s->stop_len[i]);
		uint32_t k = partial_match(p, n, s->stop[i], s->stop_len[i]);

		if (at && (!*is_stop || (uint32_t)(at - p) < first)) {
			first = (uint32_t)(at - p);
			*is_stop = true;
		}
		held = k > held ? k : held;
	}
	return *is_stop ? first : n - held;
}

uint32_t hold_char(const uint8_t *p, uint32_t n)
{
	for (uint32_t back = 1; back <= 3 && back <= n; back++) {
		uint8_t c = p[n - back];
		uint32_t len = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : 2;

		if ((c & 0xc0) == 0x80)
			continue;
		return c >= 0xc2 && c < 0xf8 && len > back ? n - back : n;
	}
	return n;
}
