/* Products with packed activations: a source is packed once, then multiplied with one matrix or several. */
#ifndef GYRE_DAEMON_MODEL_LINEAR_H
#define GYRE_DAEMON_MODEL_LINEAR_H

#include "daemon/model/seat.h"

struct act_source {
	const float *x; /* [..][stride] */
	size_t stride;
	const uint32_t *row; /* which rows; NULL: 0..n_row-1 */
	uint32_t n_row, n_col;
	uint32_t col0; /* of the first column within the products' columns */
	const struct norm *
		norm; /* x is the residual stream, and normed first, where there is a norm; NULL: x is another, as it is */
	uint32_t kinds; /* bit mask of enum act_kind */
	bool is_own;    /* columns of the worker's node: packed by its workers, for them */
	/* Of more than one tile the rows as they are multiplied are left here, [n_row][x_stride]; of one they are in the worker's own
	 * norm[]. NULL: they are not wanted. */
	float *keep;
};

/* One node's part of y = W . x. */
struct product {
	const struct act *x;
	const struct tensor *w;
	const struct tensor_part *part; /* of w */
	float *y;                       /* [n_row][y_stride], from the part's first row on */
	size_t y_stride;
};

/* As few tiles as hold the rows, of equal sizes: a small one costs most of what a full one does. */
uint32_t linear_n_tile(uint32_t n_row);
void linear_tile_rows(uint32_t n_row, uint32_t tile, size_t *row0, size_t *n);
/* act.row_bytes of rows of n_col. */
size_t linear_row_bytes(enum act_kind kind, size_t n_col);
/* The part of a matrix that is divided by rows which has a row. */
const struct tensor_part *linear_part_of(const struct model *m, const struct tensor *t, uint32_t row);
/* The kind that a product with t wants, as a mask. */
uint32_t linear_kind(const struct model *m, const struct tensor *t);
/* The rows of the residual stream that are asked for (NULL: all n_row), normed by `norm`. */
struct act_source linear_source(const struct seat *s, const struct norm *norm, const uint32_t *row, uint32_t n_row);
/*
 * Packs a source; all workers call it, and it may hold barriers. The result stays valid until the second barrier from now.
 * Before the residual stream is packed, pending partial sums are added to it; where one worker packs a row for everybody, that
 * worker adds it.
 */
const struct act *linear_pack(const struct seat *s, const struct act_source *src);
/* Panels [begin, end) of the part, of PANEL_ROWS rows each; any worker. */
void linear_mul(const struct seat *s, const struct product *p, size_t begin, size_t end);
/* How many pieces a worker's share of a pass over so many bytes of weights, times its tiles, is worth cutting into. */
size_t linear_pieces(size_t bytes);
/* Panels of n_col columns that stay in L2 while all tiles pass over them; of one tile all n_panel. */
size_t linear_group(const struct tensor *w, size_t n_col, uint32_t n_tile, size_t n_panel);
/* A share-out among the node's workers of n_items, each item_panels panels of n_col columns of w, for what was packed last. */
void linear_share(struct share *share, const struct seat *s, const struct tensor *w, size_t n_col, size_t n_items,
		  size_t item_panels);

#endif
