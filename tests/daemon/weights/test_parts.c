/*
 * Why: a tensor that is read at the right place of the wrong file is a model that talks nonsense without an error. So what a model in
 * parts leaves in the pools is what the whole file leaves there, byte for byte, however it is read.
 */
#include "daemon/model/model.h"
#include "tests/util/tiny.h"
#include "tests/util/split.h"
#include "tests/util/teams.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Tensors of several jobs; types of several blocks. On a disk: O_DIRECT needs one, hence not /tmp. */
static const struct tiny tiny = { .n_embd = 512,
				  .n_layer = 2,
				  .n_head = 8,
				  .n_head_kv = 4,
				  .head_dim = 64,
				  .n_ff = 1024,
				  .n_vocab = 1000,
				  .n_ctx = 64,
				  .type_embd = QUANT_F32,
				  .type_q = QUANT_Q4_K,
				  .type_k = QUANT_Q8_0,
				  .type_v = QUANT_Q6_K,
				  .type_o = QUANT_Q4_0,
				  .type_gate = QUANT_F32,
				  .type_up = QUANT_F16,
				  .type_down = QUANT_F32,
				  .type_output = QUANT_Q6_K };

static char dir[] = "/var/tmp/gyre-parts-XXXXXX", whole[64], stem[64];
static struct error e;

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(whole, sizeof(whole), "%s/whole.gguf", dir);
	snprintf(stem, sizeof(stem), "%s/m", dir);
	return tiny_write(whole, &tiny);
}

static int teardown(void **state)
{
	(void)state;
	unlink(whole);
	return rmdir(dir);
}

static struct weights *load(const char *path, int n_thread, int n_node, enum weights_direct direct)
{
	struct layout layout = layout_even(n_node, n_node);
	struct weights *w = NULL;

	if (weights_load(&w, path,
			 &(struct weights_options){
				 .plan = model_plan, .layout = &layout, .n_thread = n_thread, .direct = direct },
			 &e))
		fail_msg("%s", e.text);
	return w;
}

static size_t part_bytes(const struct tensor *t, const struct tensor_part *p)
{
	return t->is_vector ? p->n_col * sizeof(float) : p->n_row ? quant_packed_bytes(t->type, p->n_row, p->n_col) : 0;
}

static void same_weights(const struct weights *a, const struct weights *b)
{
	assert_int_equal(a->n_bytes, b->n_bytes);
	assert_int_equal(a->read_bytes, b->read_bytes);
	for (size_t i = 0; i < gguf_n_tensor(a->gguf); i++) {
		const struct tensor *t = &a->tensor[i], *u = &b->tensor[i];

		assert_int_equal(t->n_part, u->n_part);
		for (uint32_t k = 0; k < t->n_part; k++) {
			assert_int_equal(part_bytes(t, &t->part[k]), part_bytes(u, &u->part[k]));
			assert_memory_equal(t->part[k].data, u->part[k].data, part_bytes(t, &t->part[k]));
		}
	}
}

static void drop_cache(const char *path)
{
	int fd = open(path, O_RDONLY);

	fdatasync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static void parts_hold_what_the_whole_holds(void **state)
{
	char path[SPLIT_PATH_BYTES];

	(void)state;
	split_write(whole, stem, 4, 1, NULL);
	for (int n_node = 1; n_node <= 2; n_node++)
		for (int n_thread = 1; n_thread <= 3; n_thread += 2)
			for (enum weights_direct d = WEIGHTS_DIRECT_AUTO; d <= WEIGHTS_DIRECT_ALWAYS; d++) {
				struct weights *w = load(whole, 1, n_node, WEIGHTS_DIRECT_NEVER), *p;

				/* Some parts in the page cache and some not: each file is read as is best for it. */
				split_path(path, stem, 1, 4);
				drop_cache(path);
				split_path(path, stem, (uint32_t)n_node, 4);
				p = load(path, n_thread, n_node, d);
				assert_int_equal(gguf_n_file(p->gguf), 4);
				same_weights(w, p);
				for (uint32_t i = 0; i < 4; i++)
					assert_int_equal(gguf_file_at(p->gguf, i)->fd, -1);
				weights_free(w);
				weights_free(p);
			}
	split_unlink(stem, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_hold_what_the_whole_holds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
