/* Random numbers of any type, as weights have them: quantized blocks are random bits with sane scales. For models that tests write. */
#ifndef GYRE_TESTS_UTIL_RANDOM_BLOCK_H
#define GYRE_TESTS_UTIL_RANDOM_BLOCK_H

#include <stddef.h>
#include <stdint.h>

/* 24 bits. */
uint32_t random_next(uint32_t *random);
/* One block of a type, n bytes at p. */
void random_block(uint32_t *random, uint32_t type, uint8_t *p, size_t n);

#endif
