/* The signed values that the four-bit codes of the look-up types stand for, as ggml has them. */
#ifndef GYRE_KERNELS_CODES_H
#define GYRE_KERNELS_CODES_H

#include <stdint.h>

/* IQ4_NL, IQ4_XS */
static const int8_t codes_iq4[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

/* MXFP4: e2m1 doubled, so that all are whole; the scale is halved in return. */
static const int8_t codes_mxfp4[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

#endif
