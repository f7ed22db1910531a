/*
 * Why: a row that no node computes is last step's number, one that two add up is twice itself, and a chunk that depends on the
 * number of nodes breaks the contract; all of them only on machines that the tests do not run on.
 */
#include "daemon/team/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, head_block, ff_block */
#define DENSE(embd, head, head_kv, dim, ff, vocab, block_head, block_ff)                                             \
	{                                                                                                            \
		.n_embd = embd, .n_head = head, .n_head_kv = head_kv, .head_dim = dim, .n_ff = ff, .n_vocab = vocab, \
		.head_block = block_head, .ff_block = block_ff                                                       \
	}

/* The same with experts: how many, of a token, columns of each. */
#define MIX(embd, head, head_kv, dim, ff, vocab, block_head, block_ff, expert, used, ff_expert)                      \
	{                                                                                                            \
		.n_embd = embd, .n_head = head, .n_head_kv = head_kv, .head_dim = dim, .n_ff = ff, .n_vocab = vocab, \
		.head_block = block_head, .ff_block = block_ff, .n_expert = expert, .n_expert_used = used,           \
		.n_ff_expert = ff_expert                                                                             \
	}

static const struct plan_shape shapes[] = {
	DENSE(576, 9, 3, 64, 1536, 49152, 32, 32),        /* SmolLM2 135M */
	DENSE(960, 15, 5, 64, 2560, 49152, 32, 32),       /* SmolLM2 360M */
	DENSE(2048, 32, 8, 64, 8192, 128256, 256, 256),   /* Llama 3.2 1B, K-quants */
	DENSE(2048, 32, 4, 64, 5632, 32000, 256, 256),    /* TinyLlama: 22 blocks of the feed-forward */
	DENSE(4096, 32, 32, 128, 11008, 32000, 256, 256), /* Llama 2 7B: a block of the output covers two KV heads */
	DENSE(5120, 40, 10, 128, 17920, 100352, 256, 256),
	DENSE(8192, 64, 8, 128, 28672, 128256, 256, 256),
	DENSE(640, 4, 1, 256, 2048, 262144, 32, 32), /* one KV head */
	DENSE(64, 4, 2, 16, 130, 72, 1, 1),          /* floats; a feed-forward that ends in mid-panel */
	DENSE(96, 6, 6, 80, 512, 100, 256, 256),     /* heads of 80 never fill whole blocks of 256 but all together */
};

#define N_SHAPE (sizeof(shapes) / sizeof(shapes[0]))

static void covers(const struct plan *p, enum plan_axis axis)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < p->n_node; i++) {
		struct plan_range r = plan_rows(p, axis, i);

		assert_int_equal(r.begin, at);
		assert_true(r.end >= r.begin);
		assert_true(r.end % 16 == 0 || r.end == plan_extent(p, axis));
		at = r.end;
	}
	assert_int_equal(at, plan_extent(p, axis));
}

/* Whether [begin, end) is a node of the tree over [0, n). */
static bool is_subtree(uint32_t n, struct plan_range r)
{
	uint32_t begin = 0, end = n;

	while (end - begin > r.end - r.begin && end - begin > 1) {
		uint32_t mid = plan_mid(begin, end);

		if (r.begin < mid)
			end = mid;
		else
			begin = mid;
	}
	return begin == r.begin && end == r.end;
}

static void adds_up(const struct plan *p, enum plan_axis axis, uint32_t block)
{
	const struct plan_sum *s = plan_sum(p, axis);
	const struct plan_share *own;
	uint32_t at = 0;

	assert_true(s->n_chunk >= 1 && s->n_chunk <= PLAN_CHUNK_MAX && s->n_partial <= s->n_chunk);
	assert_int_equal(s->cut[0], 0);
	assert_int_equal(s->cut[s->n_chunk], plan_extent(p, axis));
	for (uint32_t c = 0; c < s->n_chunk; c++) {
		assert_true(s->cut[c] < s->cut[c + 1]);
		assert_int_equal(s->cut[c] % block, 0);
	}
	for (uint32_t i = 0; i < s->n_partial; i++) {
		assert_int_equal(s->partial[i].begin, at);
		assert_true(is_subtree(s->n_chunk, s->partial[i]));
		own = &s->node[plan_partial_node(s, i)];
		assert_true(i >= own->partial.begin && i < own->partial.end);
		assert_true(s->cut[at] >= own->col.begin);
		at = s->partial[i].end;
		assert_true(s->cut[at] <= own->col.end);
	}
	assert_int_equal(at, s->n_chunk);
}

static void every_row_and_chunk_is_somebodys(void **state)
{
	struct plan p, one;
	struct error e;

	(void)state;
	for (size_t i = 0; i < N_SHAPE; i++) {
		const struct plan_shape *s = &shapes[i];
		uint32_t n_rep = s->n_head / s->n_head_kv;

		assert_int_equal(plan_make(&one, s, 1, &e), 0);
		assert_int_equal(one.head.n_partial, 1);
		assert_int_equal(one.ff.n_partial, 1);
		for (uint32_t n = 1; n <= one.ff.n_chunk && n <= NODE_MAX; n++) {
			assert_int_equal(plan_make(&p, s, n, &e), 0);
			covers(&p, PLAN_HEAD);
			covers(&p, PLAN_FF);
			covers(&p, PLAN_VOCAB);
			adds_up(&p, PLAN_HEAD_K, s->head_block);
			adds_up(&p, PLAN_FF_K, s->ff_block);
			/* The chunks, and with them the bits, are the model's. */
			assert_int_equal(p.head.n_chunk, one.head.n_chunk);
			assert_memory_equal(p.head.cut, one.head.cut, sizeof(p.head.cut));
			assert_memory_equal(p.ff.cut, one.ff.cut, sizeof(p.ff.cut));
			for (uint32_t k = 0; k < n; k++) {
				const struct plan_node *v = &p.node[k];

				assert_int_equal(p.head.node[k].col.begin, v->head.begin * s->head_dim);
				assert_int_equal(p.ff.node[k].col.end, v->ff.end);
				for (uint32_t h = v->head.begin; h < v->head.end; h++)
					assert_true(h / n_rep >= v->head_kv.begin && h / n_rep < v->head_kv.end);
			}
		}
	}
}

static void expect_nodes(const struct plan_shape *s, uint32_t n, const uint32_t *heads, const uint32_t *heads_kv)
{
	struct error e;
	struct plan p;

	assert_int_equal(plan_make(&p, s, n, &e), 0);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(p.node[i].head.end - p.node[i].head.begin, heads[i]);
		assert_int_equal(p.node[i].head_kv.end - p.node[i].head_kv.begin, heads_kv[i]);
	}
}

/* n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, head_block, ff_block, n_expert, n_expert_used, n_ff_expert */
static const struct plan_shape mixes[] = {
	MIX(4096, 32, 8, 128, 0, 32000, 256, 1, 8, 2, 14336),
	MIX(2048, 32, 4, 128, 6144, 151936, 256, 256, 128, 8, 768), /* dense layers beside those of experts */
	MIX(2880, 64, 8, 64, 0, 201088, 32, 1, 32, 4, 2880),
	MIX(64, 4, 4, 16, 0, 320, 1, 1, 3, 1, 24), /* a panel and a half: of more nodes most have nothing */
};

static void rows_are_somebodys(const struct plan *p, uint32_t n_row)
{
	uint32_t at = 0, most = 0, least = UINT32_MAX;

	for (uint32_t i = 0; i < p->n_node; i++) {
		struct plan_range r = plan_row_share(p, n_row, i);

		assert_int_equal(r.begin, at);
		assert_true(r.end % 16 == 0 || r.end == n_row);
		at = r.end;
		most = (r.end - r.begin + 15) / 16 > most ? (r.end - r.begin + 15) / 16 : most;
		least = (r.end - r.begin + 15) / 16 < least ? (r.end - r.begin + 15) / 16 : least;
	}
	assert_int_equal(at, n_row);
	assert_true(most - least <= 1);
}

/* Whatever a token chooses: each node has a slice of every expert, and none more than a panel above another. */
static void every_expert_is_sliced_evenly(void **state)
{
	struct plan p;
	struct error e;

	(void)state;
	for (const struct plan_shape *s = mixes; s < mixes + sizeof(mixes) / sizeof(mixes[0]); s++)
		for (uint32_t n = 1; n <= NODE_MAX && plan_make(&p, s, n, &e) == 0; n++) {
			rows_are_somebodys(&p, s->n_ff_expert);
			rows_are_somebodys(&p, s->n_embd);
			assert_int_equal(p.row.n_partial, 1);
		}
	assert_int_equal(plan_make(&p, &mixes[0], NODE_MAX, &e), 0); /* nothing limits the nodes */
	assert_true(plan_balance(&p).expert == 1);
	assert_int_equal(plan_make(&p, &mixes[3], 4, &e), 0);
	assert_true(plan_balance(&p).expert == 16.0 * 4 / 24);
}

/* Whole KV heads as long as there are enough of them, then replicas. */
static void heads_go_by_kv_heads_while_they_last(void **state)
{
	(void)state;
	expect_nodes(&shapes[0], 2, (uint32_t[]){ 6, 3 }, (uint32_t[]){ 2, 1 });
	expect_nodes(&shapes[0], 3, (uint32_t[]){ 3, 3, 3 }, (uint32_t[]){ 1, 1, 1 });
	expect_nodes(&shapes[0], 4, (uint32_t[]){ 3, 2, 2, 2 }, (uint32_t[]){ 1, 1, 2, 1 });
	expect_nodes(&shapes[2], 4, (uint32_t[]){ 8, 8, 8, 8 }, (uint32_t[]){ 2, 2, 2, 2 });
	expect_nodes(&shapes[3], 8, (uint32_t[]){ 4, 4, 4, 4, 4, 4, 4, 4 }, (uint32_t[]){ 1, 1, 1, 1, 1, 1, 1, 1 });
	expect_nodes(&shapes[7], 4, (uint32_t[]){ 1, 1, 1, 1 }, (uint32_t[]){ 1, 1, 1, 1 });
}

static void balance_says_what_uneven_parts_cost(void **state)
{
	struct plan_balance b;
	struct error e;
	struct plan p;

	(void)state;
	assert_int_equal(plan_make(&p, &shapes[0], 2, &e), 0);
	b = plan_balance(&p);
	assert_true(b.head > 1.33 && b.head < 1.34 && b.ff == 1 && b.vocab == 1 && b.n_copied == 0);
	assert_int_equal(plan_make(&p, &shapes[7], 4, &e), 0);
	assert_int_equal(plan_balance(&p).n_copied, 3);
}

static void more_nodes_than_the_model_divides_into_are_refused(void **state)
{
	struct plan_shape s = shapes[3];
	struct error e = { "" };
	struct plan p;

	(void)state;
	s.n_ff = 768; /* three blocks */
	assert_int_equal(plan_make(&p, &s, 3, &e), 0);
	assert_int_equal(plan_make(&p, &s, 4, &e), -E2BIG);
	assert_non_null(strstr(e.text, "1..3"));
	assert_non_null(strstr(e.text, "--nodes"));
	assert_int_equal(plan_make(&p, &s, 0, &e), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_and_chunk_is_somebodys),
		cmocka_unit_test(every_expert_is_sliced_evenly),
		cmocka_unit_test(heads_go_by_kv_heads_while_they_last),
		cmocka_unit_test(balance_says_what_uneven_parts_cost),
		cmocka_unit_test(more_nodes_than_the_model_divides_into_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
