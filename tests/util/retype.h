/*
 * Writes a model's file again with its matrices in a mixture of types: each of those that a quantizer would take is random blocks of a type
 * that its columns allow; vectors, routers, convolutions and what is small stay as they are. So a model that others wrote in f32
 * tries packing, cuts, experts and recurrences with every type. Its context grows to what attention takes in two chunks.
 * For tests that compare gyre with itself.
 */
#ifndef GYRE_TESTS_UTIL_RETYPE_H
#define GYRE_TESTS_UTIL_RETYPE_H

#include <stdint.h>

#define RETYPE_CTX 1024u

/* seed: which mixture; 0: the types stay. 0, or -1 when a file cannot be read or written. */
int retype_write(const char *path, const char *from, uint32_t seed);

#endif
