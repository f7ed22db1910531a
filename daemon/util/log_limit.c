#include "daemon/util/log_limit.h"

#include "daemon/util/log.h"

#include <stddef.h>

#define SURPLUS (LOG_LIMIT_SLOT - 1)

static struct log_limit_slot *find_slot(struct log_limit *l, const char *what, uint32_t uid)
{
	struct log_limit_slot *free = NULL;

	for (uint32_t i = 0; i < SURPLUS; i++) {
		struct log_limit_slot *s = &l->slot[i];

		if (s->what == what && s->uid == uid)
			return s;
		if (!s->what && !free)
			free = s;
	}
	return free ? free : &l->slot[SURPLUS];
}

static void tell(struct log_limit_slot *s, uint64_t now_ns)
{
	unsigned long long n = s->n_more, seconds = (now_ns - s->since_ns) / 1000000000u;

	if (n && s->is_shared)
		log_warn("%s, of other uids: %llu more in %llu s", s->what, n, seconds);
	else if (n)
		log_warn("%s, of uid %u: %llu more in %llu s", s->what, s->uid, n, seconds);
	*s = (struct log_limit_slot){ 0 };
}

bool log_limit_pass(struct log_limit *l, const char *what, uint32_t uid, uint64_t now_ns)
{
	struct log_limit_slot *s = find_slot(l, what, uid);

	if (s->what && now_ns - s->since_ns < LOG_LIMIT_NS) {
		s->n_more++;
		return false;
	}
	if (s->what)
		tell(s, now_ns);
	*s = (struct log_limit_slot){ what, uid, s == &l->slot[SURPLUS], now_ns, 0 };
	return true;
}

bool log_limit_flush(struct log_limit *l, uint64_t now_ns)
{
	bool is_waiting = false;

	for (uint32_t i = 0; i < LOG_LIMIT_SLOT; i++) {
		struct log_limit_slot *s = &l->slot[i];

		if (s->what && now_ns - s->since_ns >= LOG_LIMIT_NS)
			tell(s, now_ns);
		is_waiting |= s->what != NULL;
	}
	return is_waiting;
}

void log_limit_end(struct log_limit *l, uint64_t now_ns)
{
	for (uint32_t i = 0; i < LOG_LIMIT_SLOT; i++)
		if (l->slot[i].what)
			tell(&l->slot[i], now_ns);
}
