/*
 * What a client may say on the socket, and whether its hello is acceptable. Pure, on the daemon's private copy of a message:
 * the bytes are anybody's who may open the socket.
 */
#ifndef GYRE_DAEMON_CONTROL_HANDSHAKE_H
#define GYRE_DAEMON_CONTROL_HANDSHAKE_H

#include "shm/abi.h"

#include <stdbool.h>
#include <stddef.h>

enum message_kind {
	MESSAGE_HELLO,
	MESSAGE_QUERY,
	MESSAGE_ALIEN, /* nothing of ours: the connection ends */
};

/* n bytes as received; a client says hello once, and may ask before and after it. */
enum message_kind handshake_classify(const void *bytes, size_t n, bool has_session);
/* 0, or -errno and in text[n] the reason in words for the client. */
int handshake_check(const struct abi_hello *h, char *text, size_t n);

#endif
