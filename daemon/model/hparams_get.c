/* Keys of an architecture, "<arch>.<name>": each is read by one of these, which refuse what has another type or is out of range by its name. */
#include "daemon/model/hparams.h"

#include <errno.h>
#include <stdio.h>

#define KEY_BYTES 96

/* Far outside of what a scale or a cap is in any model, far inside of a float. */
#define FACTOR_MIN 1e-6f
#define FACTOR_MAX 1e6f

/* A number, or one for each layer that is the same for all: -ERANGE otherwise, and then *v is the first. is_of_some: of those layers that
 * have any, a 0 being none. */
static int get_equal(const struct gguf *g, const char *key, uint32_t *v, bool is_of_some)
{
	struct gguf_arr a;
	uint64_t first;
	int r = gguf_get_arr(g, key, &a);

	if (r < 0)
		return gguf_get_u32(g, key, v);
	if (!a.n || a.type > GGUF_I32)
		return -EINVAL;
	for (first = 0; is_of_some && first + 1 < a.n && gguf_arr_int(&a, first) == 0;)
		first++;
	if (gguf_arr_int(&a, first) < 0 || gguf_arr_int(&a, first) > UINT32_MAX)
		return -EINVAL;
	*v = (uint32_t)gguf_arr_int(&a, first);
	for (uint64_t i = first + 1; i < a.n; i++)
		if (gguf_arr_int(&a, i) != (int64_t)*v && !(is_of_some && gguf_arr_int(&a, i) == 0))
			return -ERANGE;
	return 0;
}

/* Says what get_equal found. */
static int check_number(const char *arch, const char *key, int r, uint32_t *v, uint32_t def, uint32_t max,
			struct error *e)
{
	if (r == -ENOENT && def) {
		*v = def;
		return 0;
	}
	if (r == -ENOENT)
		return error_set(e, -EINVAL, "the file has no %s: not a complete %s model", key, arch);
	if (r == -ERANGE)
		return error_set(e, -ENOTSUP,
				 "%s differs between layers, which is not supported yet; use another model", key);
	if (r < 0)
		return error_set(e, -EINVAL, "%s is not an unsigned number", key);
	if (*v < 1 || *v > max)
		return error_set(e, -EINVAL, "%s is %u; 1..%u are possible", key, *v, max);
	return 0;
}

int hparams_get_u32(const struct gguf *g, const char *arch, const char *name, uint32_t *v, uint32_t def, uint32_t max,
		    struct error *e)
{
	char key[KEY_BYTES];

	snprintf(key, sizeof(key), "%s.%s", arch, name);
	return check_number(arch, key, get_equal(g, key, v, false), v, def, max, e);
}

/* The largest of an array that get_equal has looked through. */
static uint32_t largest(const struct gguf *g, const char *key)
{
	struct gguf_arr a = { 0 };
	int64_t most = 0;

	gguf_get_arr(g, key, &a);
	for (uint64_t i = 0; i < a.n; i++)
		most = gguf_arr_int(&a, i) > most ? gguf_arr_int(&a, i) : most;
	return most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

int hparams_get_of_some(const struct gguf *g, const char *arch, const char *name, bool may_differ, uint32_t *v,
			uint32_t def, struct error *e)
{
	char key[KEY_BYTES];
	int r;

	snprintf(key, sizeof(key), "%s.%s", arch, name);
	r = get_equal(g, key, v, true);
	if (r == -ERANGE && may_differ) {
		*v = largest(g, key);
		r = 0;
	}
	return check_number(arch, key, r, v, def, HPARAMS_DIM_MAX, e);
}

bool hparams_has_none(const struct gguf *g, const char *arch, const char *name)
{
	char key[KEY_BYTES];
	uint32_t v;
	int r;

	snprintf(key, sizeof(key), "%s.%s", arch, name);
	r = get_equal(g, key, &v, true);
	return r == -ENOENT || (r == 0 && v == 0);
}

int hparams_get_count(const struct gguf *g, const char *arch, const char *name, uint32_t *v, uint32_t def, uint32_t max,
		      struct error *e)
{
	char key[KEY_BYTES];
	int r;

	snprintf(key, sizeof(key), "%s.%s", arch, name);
	*v = def;
	r = gguf_get_u32(g, key, v);
	if (r == -ENOENT || (r == 0 && *v <= max))
		return 0;
	return error_set(e, -EINVAL, "%s is not a number in 0..%u", key, max);
}

int hparams_get_bool(const struct gguf *g, const char *arch, const char *name, bool *v, struct error *e)
{
	char key[KEY_BYTES];
	int r;

	snprintf(key, sizeof(key), "%s.%s", arch, name);
	r = gguf_get_bool(g, key, v);
	return r == 0 || r == -ENOENT ? 0 : error_set(e, -EINVAL, "%s is not a boolean", key);
}

int hparams_get_factor(const struct gguf *g, const char *arch, const char *name, float *v, struct error *e)
{
	char key[KEY_BYTES];
	int r;

	snprintf(key, sizeof(key), "%s.%s", arch, name);
	*v = 0;
	r = gguf_get_f32(g, key, v);
	if (r == -ENOENT || (r == 0 && (*v == 0 || (*v >= FACTOR_MIN && *v <= FACTOR_MAX))))
		return 0;
	return error_set(e, -EINVAL, "%s is not 0 or a number in %g..%g", key, (double)FACTOR_MIN, (double)FACTOR_MAX);
}

int hparams_get_layers(const struct gguf *g, const char *arch, const char *name, uint32_t *v, uint32_t n_layer,
		       uint32_t max, struct error *e)
{
	char key[KEY_BYTES];
	struct gguf_arr a;
	uint32_t one;

	snprintf(key, sizeof(key), "%s.%s", arch, name);
	if (gguf_get_arr(g, key, &a) < 0) {
		int r = gguf_get_u32(g, key, &one);

		if (r == -ENOENT)
			return r;
		if (r < 0 || one > max)
			return error_set(e, -EINVAL, "%s is not a number in 0..%u", key, max);
		for (uint32_t i = 0; i < n_layer; i++)
			v[i] = one;
		return 0;
	}
	if (a.n < n_layer || (a.type > GGUF_I32 && a.type != GGUF_BOOL))
		return error_set(e, -EINVAL, "%s is not a list of %u numbers, one for each layer", key, n_layer);
	for (uint32_t i = 0; i < n_layer; i++) {
		int64_t x = gguf_arr_int(&a, i);

		if (x < 0 || x > max)
			return error_set(e, -EINVAL, "%s of layer %u is not a number in 0..%u", key, i, max);
		v[i] = (uint32_t)x;
	}
	return 0;
}
