#include "daemon/control/handshake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum message_kind handshake_classify(const void *bytes, size_t n, bool has_session)
{
	struct abi_query query;

	if (n == sizeof(struct abi_hello))
		return has_session ? MESSAGE_ALIEN : MESSAGE_HELLO;
	if (n != sizeof(query) || !has_session)
		return MESSAGE_ALIEN;
	memcpy(&query, bytes, sizeof(query));
	return query.magic == GYRE_ABI_MAGIC && query.what == 1 ? MESSAGE_QUERY : MESSAGE_ALIEN;
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
