/*
 * The tile instructions in portable C, by Intel's description of them: what the level's products are compiled with where the CPU
 * that tests them lacks the instructions. What would fault is asserted.
 */
#ifndef GYRE_KERNELS_AMX_TILE_H
#define GYRE_KERNELS_AMX_TILE_H

#include "kernels/constant_n.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tile_config {
	uint8_t palette, start_row, reserved[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
};

/* 64 bytes, which the compiler makes of what the CPU has. */
typedef uint8_t bytes64 __attribute__((vector_size(64)));

INLINE bytes64 look_up16(bytes64 table, bytes64 v)
{
	for (size_t i = 0; i < sizeof(v); i++)
		v[i] = table[v[i] & 15];
	return v;
}

#define TILES     8
#define TILE_ROWS 16
#define ROW_BYTES 64

static _Thread_local struct {
	bool is_configured;
	struct tile_config config;
	uint8_t row[TILES][TILE_ROWS][ROW_BYTES];
} tile_unit;

static inline void tile_configure(const struct tile_config *c)
{
	static const uint8_t zeros[14];

	assert(c->palette == 1 && !memcmp(c->reserved, zeros, sizeof(zeros)));
	for (int t = 0; t < 16; t++) {
		assert(c->rows[t] <= (t < TILES ? TILE_ROWS : 0) && c->row_bytes[t] <= (t < TILES ? ROW_BYTES : 0));
		assert(!c->rows[t] == !c->row_bytes[t]);
	}
	memset(&tile_unit, 0, sizeof(tile_unit));
	tile_unit.config = *c;
	tile_unit.is_configured = true;
}

static inline void tile_release(void)
{
	memset(&tile_unit, 0, sizeof(tile_unit));
}

static inline void tile_zero(int t)
{
	assert(tile_unit.is_configured && tile_unit.config.rows[t]);
	memset(tile_unit.row[t], 0, sizeof(tile_unit.row[t]));
}

static inline void tile_load(int t, const void *p, size_t step)
{
	tile_zero(t);
	for (size_t r = 0; r < tile_unit.config.rows[t]; r++)
		memcpy(tile_unit.row[t][r], (const uint8_t *)p + r * step, tile_unit.config.row_bytes[t]);
}

static inline void tile_store(int t, void *p, size_t step)
{
	assert(tile_unit.is_configured && tile_unit.config.rows[t]);
	for (size_t r = 0; r < tile_unit.config.rows[t]; r++)
		memcpy((uint8_t *)p + r * step, tile_unit.row[t][r], tile_unit.config.row_bytes[t]);
}

static inline void tile_dot(int sum, int x, int w)
{
	const struct tile_config *c = &tile_unit.config;

	assert(tile_unit.is_configured && sum != x && sum != w && x != w);
	assert(c->rows[sum] == c->rows[x] && c->row_bytes[sum] == c->row_bytes[w]);
	assert(c->row_bytes[x] % 4 == 0 && c->row_bytes[x] / 4 == c->rows[w] && c->row_bytes[sum] % 4 == 0);
	for (size_t m = 0; m < c->rows[sum]; m++)
		for (size_t n = 0; n < c->row_bytes[sum] / 4u; n++) {
			int32_t s;

			memcpy(&s, tile_unit.row[sum][m] + 4 * n, 4);
			for (size_t k = 0; k < c->row_bytes[x]; k++)
				s += (int8_t)tile_unit.row[x][m][k] * (int8_t)tile_unit.row[w][k / 4][4 * n + k % 4];
			memcpy(tile_unit.row[sum][m] + 4 * n, &s, 4);
		}
}

#endif
