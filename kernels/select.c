/* What the table of levels (isa.h) means: which of them this CPU can run, which is the best, and who serves each operation. */
#include "kernels/isa.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

uint32_t kernels_flags(void)
{
	return isa_flags();
}

/* What the level and its ancestors need. */
static uint32_t needs(int isa)
{
	uint32_t all = 0;

	for (; isa >= 0; isa = isa_table[isa].parent)
		all |= isa_table[isa].needs;
	return all;
}

uint32_t kernels_missing(enum kernels_isa isa, uint32_t flags, const char *name[KERNELS_FLAG_MAX])
{
	uint32_t missing = needs((int)isa) & ~flags, n = 0;

	for (uint32_t i = 0; i < isa_flag_count; i++)
		if (missing >> i & 1)
			name[n++] = isa_flag_name[i];
	return n;
}

static void append(char *list, size_t size, const char *name)
{
	size_t at = strlen(list);

	snprintf(list + at, size - at, "%s%s", at ? ", " : "", name);
}

const char *kernels_missing_names(char *list, size_t size, enum kernels_isa isa)
{
	const char *name[KERNELS_FLAG_MAX];
	uint32_t n = kernels_missing(isa, isa_flags(), name);

	*list = 0;
	for (uint32_t i = 0; i < n; i++)
		append(list, size, name[i]);
	return list;
}

bool kernels_can_run(enum kernels_isa isa)
{
	return (uint32_t)isa < isa_count && !(needs((int)isa) & ~isa_flags());
}

enum kernels_isa kernels_preferred(uint32_t flags)
{
	int isa = (int)isa_count - 1;

	while ((needs(isa) | isa_table[isa].wants) & ~flags)
		isa--;
	return (enum kernels_isa)isa;
}

static enum kernels_isa asked_or_preferred(enum kernels_isa isa)
{
	if (isa == ISA_MAX)
		isa = kernels_preferred(isa_flags());
	assert(kernels_can_run(isa));
	return isa;
}

static void fill(struct kernels *k, int isa)
{
	if (isa_table[isa].parent >= 0)
		fill(k, isa_table[isa].parent);
	isa_table[isa].override(k);
}

enum kernels_isa kernels_select(struct kernels *k, enum kernels_isa isa)
{
	isa = asked_or_preferred(isa);
	fill(k, (int)isa);
	k->isa = isa_table[isa].name;
	return isa;
}

void kernels_limits(struct limits *l, enum kernels_isa isa)
{
	int i = (int)asked_or_preferred(isa);

	while (!isa_table[i].limits)
		i = isa_table[i].parent;
	isa_table[i].limits(l);
}

const char *kernels_isa_name(enum kernels_isa isa)
{
	return (uint32_t)isa < isa_count ? isa_table[isa].name : NULL;
}

enum kernels_isa kernels_isa_parse(const char *name)
{
	for (uint32_t i = 0; i < isa_count; i++)
		if (!strcmp(name, isa_table[i].name))
			return (enum kernels_isa)i;
	return ISA_MAX;
}

const char *kernels_isa_names(char *list, size_t size, bool can_run)
{
	*list = 0;
	for (uint32_t i = 0; i < isa_count; i++)
		if (!can_run || kernels_can_run((enum kernels_isa)i))
			append(list, size, isa_table[i].name);
	return list;
}

const char *kernels_isa_refusal(char *why, size_t size, const char *name)
{
	char runs[KERNELS_LIST_BYTES], list[KERNELS_LIST_BYTES];
	enum kernels_isa isa = kernels_isa_parse(name);

	if (kernels_can_run(isa))
		return NULL;
	kernels_isa_names(runs, sizeof(runs), true);
	if (isa == ISA_MAX)
		snprintf(why, size, "'%s' is none of %s; this CPU runs %s", name,
			 kernels_isa_names(list, sizeof(list), false), runs);
	else
		snprintf(why, size, "%s needs %s, which this CPU does not have; it runs %s", name,
			 kernels_missing_names(list, sizeof(list), isa), runs);
	return why;
}
