/*
 * Hashes of what sequences begin with: each takes in the one of all that comes before, so that equal hashes are of equal beginnings, but for
 * chance. Whoever acts on one compares the tokens. A salt begins the chain: users that do not share have one each.
 */
#ifndef GYRE_DAEMON_UTIL_HASHCHAIN_H
#define GYRE_DAEMON_UTIL_HASHCHAIN_H

#include <stdbool.h>
#include <stdint.h>

#define HASHCHAIN_LEN 32u /* tokens that are hashed together */

static inline uint64_t hashchain_mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

/* Of a uid's own, or of all. */
static inline uint64_t hashchain_salt(bool is_shared, uint32_t uid)
{
	return is_shared ? 1ull << 32 : uid;
}

static inline uint64_t hashchain_begin(uint64_t salt)
{
	return hashchain_mix(0x2545f4914f6cdd1du, salt + 1);
}

static inline uint64_t hashchain_add(uint64_t h, const int32_t *token, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		h = hashchain_mix(h, (uint32_t)token[i]);
	return h;
}

#endif
