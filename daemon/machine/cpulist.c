#include "daemon/machine/cpulist.h"

#include "daemon/util/readfile.h"

#include <stdio.h>
#include <stdlib.h>

#define LIST_BYTES 8192 /* 1024 numbers of up to four digits, and their commas: 5,110 */

void cpulist_parse(cpu_set_t *set, const char *s)
{
	CPU_ZERO(set);
	while (*s >= '0' && *s <= '9') {
		char *end;
		unsigned long first = strtoul(s, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long i = first; i <= last && i < CPU_SETSIZE; i++)
			CPU_SET(i, set);
		s = *end == ',' ? end + 1 : "";
	}
}

int cpulist_read(cpu_set_t *set, const char *root, const char *path)
{
	char list[LIST_BYTES];
	int r = readfile_str(list, sizeof(list), root, path);

	cpulist_parse(set, r ? "" : list);
	return r;
}

char *cpulist_format(char *s, size_t n, const cpu_set_t *set)
{
	size_t used = 0;

	*s = '\0';
	for (int first = 0, last; first < CPU_SETSIZE; first = last + 1) {
		char piece[32];
		size_t len;

		last = first;
		if (!CPU_ISSET(first, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		len = (size_t)snprintf(piece, sizeof(piece), last > first ? "%s%d-%d" : "%s%d", used ? "," : "", first,
				       last);
		if (used + len + sizeof(",...") > n) {
			snprintf(s + used, n - used, ",...");
			break;
		}
		used += (size_t)snprintf(s + used, n - used, "%s", piece);
	}
	return s;
}
