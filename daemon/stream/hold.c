#include "daemon/stream/hold.h"

#include "daemon/util/minmax.h"

#include <string.h>

/* Length of the longest tail of p[n] that is a proper prefix of stop[len]. */
static uint32_t partial_match(const uint8_t *p, uint32_t n, const uint8_t *stop, uint32_t len)
{
	for (uint32_t k = len - 1 < n ? len - 1 : n; k > 0; k--)
		if (!memcmp(p + n - k, stop, k))
			return k;
	return 0;
}

/* Bytes before the first stop string in p[n], *is_stop set; or all but the longest tail that may be the beginning of one. */
static uint32_t scan(const struct sampling *s, const uint8_t *p, uint32_t n, bool *is_stop)
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
		held = max_u32(held, k);
	}
	return *is_stop ? first : n - held;
}

static uint32_t count_shown(const bool *hidden, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += !hidden[i];
	return sum;
}

/* The same for the whole stream, whose tail joins p[n]; told in bytes of h->byte, where the shown ones among them lie last. */
static uint32_t scan_whole(struct hold *h, const struct sampling *s, const char *p, uint32_t n, bool is_hidden,
			   bool *is_stop)
{
	uint8_t byte[HOLD_MAX + GYRE_RESULT_TEXT_BYTES];
	bool hidden[sizeof(byte)];
	uint32_t n_byte = h->n_tail + n, at;

	memcpy(byte, h->tail, h->n_tail);
	memcpy(hidden, h->is_hidden, h->n_tail);
	memcpy(byte + h->n_tail, p, n);
	memset(hidden + h->n_tail, is_hidden, n);
	at = scan(s, byte, n_byte, is_stop);
	h->n_tail = *is_stop ? 0 : n_byte - at;
	memcpy(h->tail, byte + at, h->n_tail);
	memcpy(h->is_hidden, hidden + at, h->n_tail);
	return h->n - count_shown(hidden + at, n_byte - at);
}

uint32_t hold_join(struct hold *h, const struct sampling *s, const char *p, uint32_t n, bool is_hidden, bool *is_stop)
{
	bool is_stop_whole;
	uint32_t shown, whole;

	if (!is_hidden) {
		memcpy(h->byte + h->n, p, n);
		h->n += n;
	}
	*is_stop = false;
	if (!s->n_stop)
		return h->n;
	whole = scan_whole(h, s, p, n, is_hidden, &is_stop_whole);
	shown = scan(s, h->byte, h->n, is_stop);
	if (*is_stop == is_stop_whole)
		return min_u32(shown, whole);
	shown = *is_stop ? shown : whole;
	*is_stop = true;
	return shown;
}

void hold_drop(struct hold *h, uint32_t n)
{
	h->n -= n;
	memmove(h->byte, h->byte + n, h->n);
}

uint32_t hold_char(const uint8_t *p, uint32_t n)
{
	for (uint32_t back = 1; back <= 3 && back <= n; back++) {
		uint8_t c = p[n - back];
		uint32_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

		if ((c & 0xc0) == 0x80)
			continue;
		return c >= 0xc2 && c < 0xf5 && len > back ? n - back : n;
	}
	return n;
}
