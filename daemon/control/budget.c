#include "daemon/control/budget.h"

#define SHARE     2          /* of what is left: the other half is for everybody else's */
#define LIMIT_MIN (16 << 20) /* ten ordinary sessions, however little is left */

bool budget_has_room(uint64_t limit, struct budget_use now, uint64_t want, uint64_t ordinary)
{
	uint64_t left = limit > now.all ? limit - now.all : 0;

	if (want > left)
		return false;
	return left - want >= now.own + want || (now.own == 0 && want <= ordinary);
}

uint64_t budget_limit(uint64_t configured, uint64_t available)
{
	uint64_t share = available / SHARE;

	if (configured)
		return configured;
	return share > LIMIT_MIN ? share : LIMIT_MIN;
}
