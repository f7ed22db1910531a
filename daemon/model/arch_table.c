#include "daemon/model/arch.h"

#include <string.h>

static const struct arch *const table[] = {
	&arch_llama,
};

const struct arch *arch_at(size_t i)
{
	return i < sizeof(table) / sizeof(table[0]) ? table[i] : NULL;
}

const struct arch *arch_find(const char *name, size_t n)
{
	for (size_t i = 0; arch_at(i); i++)
		if (strlen(table[i]->name) == n && memcmp(table[i]->name, name, n) == 0)
			return table[i];
	return NULL;
}
