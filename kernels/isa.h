/*
 * The table of ISA levels of one machine (cpu_<machine>.c, which the Makefile chooses), and what each ISA folder exports: a function
 * that overwrites the pointers it does better, and maybe one for the limits. select.c calls those of a level's ancestors first.
 * The order of rows is of preference alone; what a level builds on is its parent.
 */
#ifndef GYRE_KERNELS_ISA_H
#define GYRE_KERNELS_ISA_H

#include "kernels/kernels.h"
#include "kernels/limits.h"

struct isa {
	const char *name; /* its folder's, too */
	int parent;       /* its row; -1: none */
	uint32_t needs;   /* of the CPU, beyond what the parent needs: bits of isa_flags() */
	uint32_t wants;   /* more, without which it can run but is not worth it */
	void (*override)(struct kernels *k);
	void (*limits)(struct limits *l); /* NULL: the parent's */
};

/* Row ISA_REF is ref, row ISA_BASE the first that has every operation. Of the rows that can run and are worth it, the last is the
 * preferred one. */
extern const struct isa isa_table[];
extern const uint32_t isa_count;

/* What the rows need and want, a bit each in ascending order, and its name as in /proc/cpuinfo. */
extern const char *const isa_flag_name[];
extern const uint32_t isa_flag_count;
uint32_t isa_flags(void);

void kernels_ref_fill(struct kernels *k);
void kernels_avx2_override(struct kernels *k);
void kernels_avxvnni_override(struct kernels *k);
void kernels_avx512vnni_override(struct kernels *k);
void kernels_zen4_override(struct kernels *k);
void kernels_amx_override(struct kernels *k);
void kernels_neon_override(struct kernels *k);
void kernels_i8mm_override(struct kernels *k);

void limits_ref_fill(struct limits *l);
void limits_avx2_override(struct limits *l);
void limits_avx512vnni_override(struct limits *l);
void limits_neon_override(struct limits *l);

#endif
