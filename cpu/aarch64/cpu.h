/* What C cannot say to a CPU: 64-bit Arm. Contracts in x86_64/cpu.h. */
#ifndef GYRE_CPU_H
#define GYRE_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Not yield, which most cores take for a nop: an isb lets the loads before it end, some tens of cycles like x86's pause. */
static inline void cpu_relax(void)
{
	__asm__ volatile("isb" ::: "memory");
}

/* The generic timer: 25 MHz to 1 GHz, so two readings may be equal. */
static inline uint64_t cpu_ticks(void)
{
	uint64_t now;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(now));
	return now;
}

/* Whole lines that are written in a row stay out of the caches by the CPU's own doing (write streaming), and what says that they are
 * there is a release, which plain stores do not pass. */
static inline void cpu_stream(void *dst, const void *src, size_t n)
{
	memcpy(dst, src, n);
}

static inline void cpu_stream_end(void)
{
}

#endif
