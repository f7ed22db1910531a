#include "daemon/control/handshake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HELLO_MIN 16u /* magic, version, hash: what hellos of all versions begin with */

/* Of any version: it is told that it is another. */
static bool is_hello(const void *bytes, size_t n)
{
	struct abi_hello h;

	if (n < HELLO_MIN || n > sizeof(h))
		return false;
	memcpy(&h, bytes, HELLO_MIN);
	return n == sizeof(h) || (h.magic == GYRE_ABI_MAGIC && h.version != GYRE_ABI_VERSION);
}

enum message_kind handshake_classify(const void *bytes, size_t n, bool has_session)
{
	uint32_t head[2];

	if (n < sizeof(head))
		return MESSAGE_ALIEN;
	memcpy(head, bytes, sizeof(head));
	if (head[0] == ABI_QUERY_MAGIC && head[1] >= ABI_QUERY_STATS && head[1] <= ABI_QUERY_HEALTH)
		return MESSAGE_QUERY;
	return is_hello(bytes, n) && !has_session ? MESSAGE_HELLO : MESSAGE_ALIEN;
}

int handshake_check(const struct abi_hello *h, char *text, size_t n)
{
	if (h->magic != GYRE_ABI_MAGIC) {
		snprintf(text, n, "not a gyre client");
		return -EPROTO;
	}
	if (h->version != GYRE_ABI_VERSION || h->layout_hash != abi_layout_hash()) {
		snprintf(text, n,
			 "gyred speaks ABI version %u with another layout; install the libgyre that came with it",
			 GYRE_ABI_VERSION);
		return -EPROTO;
	}
	for (size_t i = 0; i < sizeof(h->reserved) / sizeof(h->reserved[0]); i++)
		if (h->reserved[i]) {
			snprintf(text, n, "reserved fields of hello are not zero");
			return -EINVAL;
		}
	return 0;
}
