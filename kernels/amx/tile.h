/*
 * The tile instructions, and a look-up that the compiler would not find. A file of its own, so that tests can put arithmetic in its place (tests/kernels/models/). In assembly because
 * gcc 12's intrinsics do not tell the compiler that they read and write memory. Tile numbers are literals: 0..3 are sums, 4 is the
 * activations', 5 the weights'.
 */
#ifndef GYRE_KERNELS_AMX_TILE_H
#define GYRE_KERNELS_AMX_TILE_H

#include "kernels/constant_n.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* What ldtilecfg reads. */
struct tile_config {
	uint8_t palette, start_row, reserved[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
};

INLINE void tile_configure(const struct tile_config *c)
{
	__asm__ volatile("ldtilecfg %0" : : "m"(*c));
}

/* Tiles are empty again, and nobody has to save them. */
INLINE void tile_release(void)
{
	__asm__ volatile("tilerelease");
}

/* 64 bytes, which the compiler makes of what the CPU has. */
typedef uint8_t bytes64 __attribute__((vector_size(64)));

/* table[v[i] & 15] of sixteen values, which stand in the table four times. */
INLINE bytes64 look_up16(bytes64 table, bytes64 v)
{
	return (bytes64)_mm512_shuffle_epi8((__m512i)table, (__m512i)(v & 15));
}

#define tile_zero(t) __asm__ volatile("tilezero %%tmm" #t ::)
#define tile_load(t, p, step) \
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((size_t)(step)) : "memory")
#define tile_store(t, p, step) \
	__asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"((size_t)(step)) : "memory")
/* sum[m][n] += x[m][4k .. 4k+3] . w[k][4n .. 4n+3], signed bytes, 32-bit integers. */
#define tile_dot(sum, x, w) __asm__ volatile("tdpbssd %%tmm" #w ", %%tmm" #x ", %%tmm" #sum ::)

#endif
