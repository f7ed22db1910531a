#include "daemon/machine/busy.h"

#include "daemon/util/readfile.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool busy_read(struct busy *b, const char *root)
{
	unsigned long long user, nice, system, idle, wait, irq, soft, steal = 0;
	char text[16384];
	struct timespec own = { 0 };

	memset(b, 0, sizeof(*b));
	/* The first line is all that is read; a machine of many CPUs has more than fits, which is no error here. */
	if (readfile_str(text, sizeof(text), root, "/proc/stat") < 0 && strncmp(text, "cpu ", 4) != 0)
		return false;
	if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &irq,
		   &soft, &steal) < 7)
		return false;
	b->used = user + nice + system + irq + soft;
	b->steal = steal;
	b->all = b->used + steal + idle + wait;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	b->own = ((double)own.tv_sec + (double)own.tv_nsec * 1e-9) * (double)sysconf(_SC_CLK_TCK);
	return true;
}

bool busy_explain(const struct busy *from, const struct busy *to, char *text, size_t n)
{
	double all = (double)(to->all - from->all);
	double other = all > 0 ? ((double)(to->used - from->used) - (to->own - from->own)) / all : 0;
	double steal = all > 0 ? (double)(to->steal - from->steal) / all : 0;

	other = other < 0 ? 0 : other;
	*text = 0;
	if (other + steal < BUSY_SHARE_MIN)
		return false;
	snprintf(text, n,
		 "other processes use %.0f %% of the CPUs, and other guests take %.0f %% (steal): a step waits for its "
		 "slowest thread, so tokens may take %.1f times as long",
		 other * 100, steal * 100, 1 / (other + steal < 0.9 ? 1 - other - steal : 0.1));
	return true;
}
