/*
 * Why: after a pass whose logits are no numbers the sequences' blocks are searched for the first layer that went wrong. A model that keeps nothing
 * by position has one block for a whole context, and a search that counts in blocks of 32 reads past the list.
 */
#include "tests/daemon/model/harness.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#define N_TOK 100 /* past three blocks of KV_BLOCK */

/* One number, behind which nothing may be read. */
static uint32_t *last_number(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(at != MAP_FAILED);
	assert_int_equal(mprotect(at + page, page, PROT_NONE), 0);
	return (uint32_t *)(void *)(at + page) - 1;
}

/* The first number of a vector is none. */
static void spoil(const struct tensor *t)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *at = t->part[0].data;

	assert_int_equal(mprotect(at - (uintptr_t)at % page, page, PROT_READ | PROT_WRITE), 0);
	memcpy(at, &(const float){ NAN }, sizeof(float));
}

static void a_model_of_states_alone_has_one_block(void **state)
{
	int32_t token[N_TOK];
	struct harness h;

	(void)state;
	harness_open(&h, "tests/golden/arch/mamba.gguf", ISA_MAX, 1, N_TOK);
	harness_reset(&h, 1, N_TOK);
	for (int i = 0; i < N_TOK; i++)
		token[i] = i;
	spoil(weights_find(h.w, "output_norm.weight"));
	harness_add(&h, 0, token, N_TOK, false);
	h.b->logit_row[h.b->n_logit++] = N_TOK - 1;
	h.b->seq[0].block = last_number();
	model_forward(h.m, h.t, h.b);
	assert_int_equal(h.b->fault_layer, model_hparams(h.m)->n_layer); /* in no layer's keys and values */
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_model_of_states_alone_has_one_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
