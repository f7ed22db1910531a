/* A count that is known only at run time, made a constant: body(N, ...) with N = n, so that its loops over n unroll. */
#ifndef GYRE_KERNELS_CONSTANT_N_H
#define GYRE_KERNELS_CONSTANT_N_H

/* For what is to see its arguments' constants. */
#define INLINE static inline __attribute__((always_inline))

#define CONSTANT_N_CASE(N, body, ...) \
	case N:                       \
		body(N, __VA_ARGS__); \
		break;

#define CONSTANT_1_TO_3(body, ...)            \
	CONSTANT_N_CASE(1, body, __VA_ARGS__) \
	CONSTANT_N_CASE(2, body, __VA_ARGS__) \
	CONSTANT_N_CASE(3, body, __VA_ARGS__)

#define CONSTANT_4_TO_7(body, ...)            \
	CONSTANT_N_CASE(4, body, __VA_ARGS__) \
	CONSTANT_N_CASE(5, body, __VA_ARGS__) \
	CONSTANT_N_CASE(6, body, __VA_ARGS__) \
	CONSTANT_N_CASE(7, body, __VA_ARGS__)

/* n in 1..4, and what is above counts as 4; likewise the others. */
#define WITH_CONSTANT_4(n, body, ...)              \
	switch (n) {                               \
		CONSTANT_1_TO_3(body, __VA_ARGS__) \
	default:                                   \
		body(4, __VA_ARGS__);              \
	}

#define WITH_CONSTANT_8(n, body, ...)              \
	switch (n) {                               \
		CONSTANT_1_TO_3(body, __VA_ARGS__) \
		CONSTANT_4_TO_7(body, __VA_ARGS__) \
	default:                                   \
		body(8, __VA_ARGS__);              \
	}

#endif
