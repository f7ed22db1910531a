/*
 * Where the parts of a block of an activation tile lie, in bytes from its start, and the block's size, for n tokens: the layout that
 * kernels.h describes, for all that write tiles and read them.
 */
#ifndef GYRE_KERNELS_TILE_H
#define GYRE_KERNELS_TILE_H

/* ACT_Q8: f32 d[n]; f32 s[n]; i32 nsum[n]; i8 q[8][n][4]; i32 cross[n] */
#define ACT_Q8_S(n)     (4 * (n))
#define ACT_Q8_NSUM(n)  (8 * (n))
#define ACT_Q8_Q(n)     (12 * (n))
#define ACT_Q8_CROSS(n) (44 * (n))
#define ACT_Q8_BYTES(n) (48 * (n))

/* ACT_Q8_K: f32 d[n]; i16 sum32[4][n][2]; i16 sum16[8][n][2]; i8 q[64][n][4]; i32 cross[8][n]; i32 off[16][n] */
#define ACT_Q8_K_SUM32(n) (4 * (n))
#define ACT_Q8_K_SUM16(n) (20 * (n))
#define ACT_Q8_K_Q(n)     (52 * (n))
#define ACT_Q8_K_CROSS(n) (308 * (n))
#define ACT_Q8_K_OFF(n)   (340 * (n))
#define ACT_Q8_K_BYTES(n) (404 * (n))

#endif
