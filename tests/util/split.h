/*
 * Cuts a GGUF file into parts as gguf-split does, and lies in one of them where a test wants it.
 */
#ifndef GYRE_TESTS_UTIL_SPLIT_H
#define GYRE_TESTS_UTIL_SPLIT_H

#include <stddef.h>
#include <stdint.h>

#define SPLIT_PATH_BYTES 256

/* Zeroes: no lie. */
struct split_lie {
	uint32_t part;          /* which part tells it, from 0 */
	uint32_t no, count;     /* it says that it is part no + 1 of count; count 0: the truth */
	uint32_t n_tensor;      /* split.tensors.count; 0: the truth */
	uint32_t key_type;      /* of the three keys; 0: u16, u16 and i32 as gguf-split has them */
	const char *omit;       /* one of the three keys that it lacks */
	const char *arch;       /* its general.architecture, which further parts do not have */
	const char *extra;      /* a tensor that it has besides: 32 bytes */
	uint32_t n_skip, n_cut; /* tensors it lacks, bytes it lacks, both at its end */
};

/* The path of part i, from 0. */
void split_path(char path[SPLIT_PATH_BYTES], const char *stem, uint32_t i, uint32_t n);
/* Writes the n parts of the model at `whole`; the first one has no tensors if is_bare. lie may be NULL. Aborts if it cannot. */
void split_write(const char *whole, const char *stem, uint32_t n, int is_bare, const struct split_lie *lie);
void split_unlink(const char *stem, uint32_t n);

#endif
