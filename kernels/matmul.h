/*
 * How an ISA folder makes its products: a type's file holds `block`, which adds one block of a panel for the n tokens of a tile,
 * and MATMUL makes of it a product, by the walk below over panels, chunks and blocks. All of it becomes one function for each n,
 * in which whatever is known of the type is a constant. Included after the folder's sums.h, which says what a panel's sums
 * are: panel_sums, block_fn, sums_zero, sums_copy, sums_add, sums_store; SUMS_IN_REGISTERS.
 */
#ifndef GYRE_KERNELS_MATMUL_H
#define GYRE_KERNELS_MATMUL_H

#include "kernels/constant_n.h"
#include "kernels/ref/ref.h"

/* With fewer tokens most types wait for memory, and what the hardware fetches by itself comes soonest; but it loses its way
 * where a type's fields are far apart (Q3_K), and is too late for a product that is busy (README.md). */
#define PREFETCH_TOKENS 4

/* Fetches what lies ahead of [w, w + bytes), for a block to call piece by piece: far ahead into L2, which can wait for more lines
 * than L1 and so keeps memory at work while a product is not, and from there into L1. */
INLINE void prefetch(const uint8_t *w, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 64) {
		__builtin_prefetch(w + 8192 + i, 0, 2);
		__builtin_prefetch(w + 1024 + i, 0, 3);
	}
}

/* The same for a single token's activations behind a block of x_bytes: of a long row they do not stay in L1 from one panel to the
 * next, since the panel passes through it. (Floats, of which a block is one column, are left to the hardware.) */
INLINE void prefetch_x(const uint8_t *x, size_t x_bytes)
{
	for (size_t i = 0; i < x_bytes; i += 64)
		__builtin_prefetch(x + 128 + i, 0, 3);
}

/* Sums of chunks that wait to be added up. */
struct wait {
	panel_sums sum[CHUNK_WAIT_MAX];
};

/* Ends chunk *c, whose sums of n tokens are in acc: adds them to those that wait for them. Then goes on to the next, and
 * what came out waits; false after the last chunk. */
INLINE bool next_chunk(const int n, const struct chunks *k, uint32_t *c, panel_sums acc, struct wait *w)
{
	int depth = chunk_waiting(*c), left = chunk_left_waiting(k, *c);

	while (depth-- > left)
		sums_add(n, w->sum[depth], acc);
	if (++*c == k->n)
		return false;
	sums_copy(n, w->sum[left], acc);
	return true;
}

/* What comes once a chunk, in functions of their own, for sums that a block finds in memory anyway: inlined in each product it is half of
 * the code of many. */
#define FUNCTION static __attribute__((noinline, unused))

FUNCTION void begin_chunk_in_memory(int n, panel_sums acc)
{
	sums_zero(n, acc);
}

FUNCTION bool next_chunk_in_memory(int n, const struct chunks *k, uint32_t *c, panel_sums acc, struct wait *w)
{
	return next_chunk(n, k, c, acc, w);
}

FUNCTION void end_panel_in_memory(int n, float *y, size_t y_stride, panel_sums acc)
{
	sums_store(n, y, y_stride, acc);
}

/* y[n][16] = one panel . x; blocks of `len` columns, of `bytes` bytes in the panel and x_bytes in the tile. */
INLINE void walk_panel_by(const bool in_memory, const int n, block_fn *block, const struct form *f, const uint32_t len,
			  const size_t bytes, const size_t x_bytes, float *y, size_t y_stride, const uint8_t *w,
			  const uint8_t *x, const struct chunks *k)
{
	panel_sums acc;
	struct wait wait;
	uint32_t c = 0;

	do {
		(in_memory ? begin_chunk_in_memory : sums_zero)(n, acc);
		/* != rather than <: as gcc 12 compiles it, 7 % of Q6_K on avx2 at eight tokens; why is not known. */
		for (const uint8_t *end = x + (k->cut[c + 1] - k->cut[c]) / len * x_bytes; x != end;
		     w += bytes, x += x_bytes) {
			if (n == 1 && len > 1)
				prefetch_x(x, x_bytes);
			block(n, f, acc, w, x);
		}
	} while ((in_memory ? next_chunk_in_memory : next_chunk)(n, k, &c, acc, &wait));
	(in_memory ? end_panel_in_memory : sums_store)(n, y, y_stride, acc);
}

INLINE void walk_panel(const int n, block_fn *block, const struct form *f, const uint32_t len, const size_t bytes,
		       const size_t x_bytes, float *y, size_t y_stride, const uint8_t *w, const uint8_t *x,
		       const struct chunks *k)
{
	walk_panel_by(n > SUMS_IN_REGISTERS(len), n, block, f, len, bytes, x_bytes, y, y_stride, w, x, k);
}

/* Bytes of a block of `len` columns in a tile of n tokens. */
INLINE size_t act_block_bytes(const uint32_t len, const size_t n)
{
	return len == 256 ? ACT_Q8_K_BYTES(n) : len == 32 ? ACT_Q8_BYTES(n) : sizeof(float) * n;
}

/* y = W . x for panels [panel0, panel1). */
INLINE void walk(const int n, block_fn *block, const struct form *f, const uint32_t len, const size_t bytes, float *y,
		 size_t y_stride, const uint8_t *w, const uint8_t *x, const struct chunks *k, size_t panel0,
		 size_t panel1)
{
	const size_t panel_bytes = k->cut[k->n] / len * bytes, x_bytes = act_block_bytes(len, (size_t)n);

	for (size_t p = panel0; p < panel1; p++)
		walk_panel(n, block, f, len, bytes, x_bytes, y + p * PANEL_ROWS, y_stride, w + p * panel_bytes, x, k);
}

_Static_assert(ACT_TILE == 12, "MATMUL_BY");

/* The product `name` for n tokens: a function for each n, since a compiler takes more than in proportion for a long one. */
#define MATMUL_OF(name, n, walk, block, len, bytes)                                                                \
	static __attribute__((noinline)) void name##_##n(MATMUL_ARGS)                                              \
	{                                                                                                          \
		(void)n_tok;                                                                                       \
		walk(n, block, &name##_form, len, PANEL_ROWS *(bytes), y, y_stride, w, x_tile, k, panel0, panel1); \
	}

/* Defines the product `name`, for a row of what its file exports (rows.h), of blocks of `len` columns and `bytes` bytes a row; the
 * rest initializes its form. */
#define MATMUL(...) MATMUL_BY(walk, __VA_ARGS__)

/* The same, by another walk. */
#define MATMUL_BY(walk, name, block, len, bytes, ...)                                                             \
	static const struct form name##_form = { __VA_ARGS__ };                                                   \
	MATMUL_OF(name, 1, walk, block, len, bytes)                                                               \
	MATMUL_OF(name, 2, walk, block, len, bytes)                                                               \
	MATMUL_OF(name, 3, walk, block, len, bytes)                                                               \
	MATMUL_OF(name, 4, walk, block, len, bytes)                                                               \
	MATMUL_OF(name, 5, walk, block, len, bytes)                                                               \
	MATMUL_OF(name, 6, walk, block, len, bytes)                                                               \
	MATMUL_OF(name, 7, walk, block, len, bytes)                                                               \
	MATMUL_OF(name, 8, walk, block, len, bytes)                                                               \
	MATMUL_OF(name, 9, walk, block, len, bytes)                                                               \
	MATMUL_OF(name, 10, walk, block, len, bytes)                                                              \
	MATMUL_OF(name, 11, walk, block, len, bytes)                                                              \
	MATMUL_OF(name, 12, walk, block, len, bytes)                                                              \
	matmul_fn name; /* not static: a level above may call it for what it does no better */                    \
	void name(MATMUL_ARGS)                                                                                    \
	{                                                                                                         \
		static matmul_fn *const of[] = { name##_1, name##_2, name##_3, name##_4,  name##_5,  name##_6,    \
						 name##_7, name##_8, name##_9, name##_10, name##_11, name##_12 }; \
                                                                                                                  \
		of[n_tok - 1](y, y_stride, w, x_tile, n_tok, k, panel0, panel1);                                  \
	}

#endif
