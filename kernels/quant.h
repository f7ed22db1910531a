/*
 * Tensor element types: block layouts as in GGUF, and how gyre packs them.
 *
 * A packed matrix W[n_row][n_col] is a run of panels of PANEL_ROWS = 16 output rows (the last one padded with zero
 * rows). A panel is a run of n_col / block_len panel blocks in ascending k, so a worker streams its panels
 * front to back. Inside a panel block every field is interleaved by row, so that SIMD lane r *is* output row r:
 *
 *   F32 F16 BF16   e[16]                                     one k: element of row r
 *   Q4_0           f16 d[16]; u8 qs[4][16][4]                qs[j][r][i] = ggml byte 4j+i of row r: low nibble k = 4j+i, high k = 16+4j+i
 *   Q4_1           f16 d[16]; f16 m[16]; u8 qs[4][16][4]
 *   Q5_0           f16 d[16]; u8 qh[16][4]; u8 qs[4][16][4]  bit g of qh[r][i] is the fifth bit of k = 4g+i (g = 0..7)
 *   Q5_1           f16 d[16]; f16 m[16]; u8 qh[16][4]; u8 qs[4][16][4]
 *   Q8_0           f16 d[16]; i8 qs[8][16][4]                k = 4j+i
 *   IQ4_NL         f16 d[16]; u8 qs[4][16][4]                as Q4_0; a nibble is an index into codes_iq4 (codes.h)
 *   MXFP4          u8 e[16]; u8 qs[4][16][4]                 E8M0 scale (f16.h); a nibble is an index into codes_mxfp4
 *   Q2_K           f16 d[16]; f16 dmin[16]; u8 sc[16][16]; u8 qs[2][8][16][4]
 *                  sc[s]: low nibble scale, high nibble minimum of sub-block s (k = 16s..16s+15)
 *                  qs[h][j][r][i] >> 2*c & 3 (c = 0..3): k = 128h+32c+4j+i
 *   Q3_K           f16 d[16]; u8 sc[12][16]; u8 hm[8][16][4]; u8 qs[2][8][16][4]
 *                  low two bits as Q2_K; bit 4h+c of hm[j][r][i] is the third; value = q - 4
 *                  scale of sub-block s = (sc[s%8] >> 4*(s/8) & 15 | (sc[8+s%4] >> 2*(s/4) & 3) << 4) - 32
 *   Q4_K           f16 d[16]; f16 dmin[16]; u8 sc[12][16]; u8 qs[4][8][16][4]
 *                  qs[p][j][r][i]: low nibble k = 64p+4j+i, high nibble k = 64p+32+4j+i
 *                  sc, GGUF's: six-bit scale s of sub-block s (0..7) for s < 4 = sc[s]&63, min s = sc[4+s]&63;
 *                  scale 4+t = sc[8+t]&15 | (sc[t]>>6)<<4, min 4+t = sc[8+t]>>4 | (sc[4+t]>>6)<<4
 *   Q5_K           f16 d[16]; f16 dmin[16]; u8 sc[12][16]; u8 qh[8][16][4]; u8 qs[4][8][16][4]
 *                  bit s of qh[j][r][i] is the fifth bit of k = 32s+4j+i
 *   Q6_K           f16 d[16]; i8 sc[16][16]; { u8 qh[16][4]; u8 ql[2][16][4]; } sub[16]
 *                  group g (0..3) of sub-block s covers k = 16s+4g+i: low four bits: ql[g/2][r][i], low nibble for even g, high
 *                  for odd; high two bits: qh[r][i] >> 2*g & 3; value = q - 32; scale sc[s]
 *   IQ4_XS         f16 d[16]; u8 sh[2][16]; u8 sl[4][16]; u8 qs[8][4][16][4]
 *                  qs[s][j][r][i]: low nibble k = 32s+4j+i, high nibble k = 32s+16+4j+i, an index into codes_iq4
 *                  scale of sub-block s (of 32) = (sl[s/2] >> 4*(s%2) & 15 | (sh[s/4] >> 2*(s%4) & 3) << 4) - 32
 *
 * The packed size equals the GGUF size: packing moves bits and invents none.
 */
#ifndef GYRE_KERNELS_QUANT_H
#define GYRE_KERNELS_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PANEL_ROWS 16

/* Values are GGUF's ggml_type ids: they come straight out of the file. */
enum quant_type {
	QUANT_F32 = 0,
	QUANT_F16 = 1,
	QUANT_Q4_0 = 2,
	QUANT_Q4_1 = 3,
	QUANT_Q5_0 = 6,
	QUANT_Q5_1 = 7,
	QUANT_Q8_0 = 8,
	QUANT_Q2_K = 10,
	QUANT_Q3_K = 11,
	QUANT_Q4_K = 12,
	QUANT_Q5_K = 13,
	QUANT_Q6_K = 14,
	QUANT_IQ4_NL = 20,
	QUANT_IQ4_XS = 23,
	QUANT_BF16 = 30,
	QUANT_MXFP4 = 39,
	QUANT_TYPE_MAX = 40
};

struct quant_info {
	const char *name;     /* GGUF's name, "Q4_K"; NULL: not a type gyre reads */
	uint16_t block_len;   /* elements per block along k: 1, 32 or 256 */
	uint16_t block_bytes; /* bytes per GGUF block of one row; a panel block has PANEL_ROWS times as many */
	/* GGUF block -> block_len floats, exactly as ggml dequantizes. */
	void (*dequantize)(float *y, const void *block);
	/* n_block GGUF blocks of each of 16 rows, which lie stride bytes apart -> n_block panel blocks. */
	void (*pack)(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block);
	/* Row r of one panel block -> that row's GGUF block: the inverse of pack, for embedding look-up and tests. */
	void (*unpack)(void *block, const void *panel_block, int r);
	/* Where the f16 scales lie in a GGUF block. None: floats, and MXFP4, of which every scale is a number. */
	uint8_t n_scale, scale[2];
};

/* NULL for a type that gyre does not read. */
const struct quant_info *quant_info(uint32_t type);

/* Bytes of a packed W[n_row][n_col]; n_col is a multiple of block_len. 0 on overflow or a bad shape. */
size_t quant_packed_bytes(uint32_t type, uint64_t n_row, uint64_t n_col);

/* Bytes of one GGUF row of n_col elements, a multiple of block_len. */
size_t quant_row_bytes(uint32_t type, size_t n_col);

/* Whether n_block GGUF blocks that lie together hold finite numbers: floats themselves, else scales. */
bool quant_is_finite(uint32_t type, const void *src, size_t n_block);

/* Packs n_row (1..16) rows of n_col elements, GGUF rows that lie src_stride bytes apart from src on, into the panel at dst, a multiple
 * of 16. The panel is not left in the cache: a loader writes much and reads none of it soon. */
void quant_pack_panel(uint32_t type, void *dst, const void *src, size_t src_stride, int n_row, size_t n_col);

/* Row `row` of packed W -> y[n_col]: the embedding look-up. */
void quant_dequantize_row(uint32_t type, float *y, const void *w, size_t row, size_t n_col);

#endif
