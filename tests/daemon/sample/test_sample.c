/* A sample depends on logits, options, seed and position alone; drafts and restarts rely on it. */
#include "daemon/op/op.h"
#include "daemon/sample/log.h"
#include "daemon/sample/philox.h"
#include "daemon/sample/row.h"
#include "daemon/sample/sample.h"
#include "tests/util/teams.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Known answers of the Random123 distribution. */
static void test_philox(void **state)
{
	uint32_t zero[4] = { 0 }, ones[4] = { ~0u, ~0u, ~0u, ~0u }, out[4];
	const uint32_t want0[4] = { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 };
	const uint32_t want1[4] = { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd };

	(void)state;
	philox4x32(out, zero, zero);
	assert_memory_equal(out, want0, sizeof(out));
	philox4x32(out, ones, ones);
	assert_memory_equal(out, want1, sizeof(out));
}

static void test_log(void **state)
{
	(void)state;
	for (float x = 1e-30f; x < 1e30f; x *= 1.37f)
		assert_true(fabs(sample_log(x) - log(x)) <= 1e-7 * (1 + fabs(log(x))));
	assert_true(sample_log(1) == 0);
}

/* ---- a batch of rows of one token each ---- */

#define ROWS    6u
#define HISTORY 40u /* tokens before the one to draw */

struct rig {
	struct kernels k;
	struct team *team;
	struct sample sample;
	struct spec spec;
	struct batch batch;
	struct request request[ROWS];
	int32_t token[ROWS][HISTORY + 1];
	uint32_t n_at_once; /* rows of a batch */
	struct batch_token out[ROWS];
};

static void rig_open_on(struct rig *r, int n_worker, int n_node, enum kernels_isa isa, uint32_t n_vocab)
{
	struct sample_options o = { .n_vocab = n_vocab, .n_logit_max = ROWS, .spec = &r->spec };

	memset(r, 0, sizeof(*r));
	kernels_select(&r->k, isa);
	assert_int_equal(team_even(&r->team, n_worker, n_node), 0);
	assert_int_equal(sample_init(&r->sample, &r->k, r->team, &o), 0);
	assert_int_equal(batch_init(&r->batch, ROWS, ROWS, n_vocab), 0);
	r->n_at_once = ROWS;
	for (uint32_t i = 0; i < ROWS; i++) {
		r->request[i].op = &op_generate;
		r->request[i].token = r->token[i];
		r->request[i].kept.sampling = (struct sampling){ .repetition_penalty = 1 };
	}
}

static void rig_open(struct rig *r, int n_worker, enum kernels_isa isa, uint32_t n_vocab)
{
	rig_open_on(r, n_worker, 1, isa, n_vocab);
}

static void rig_close(struct rig *r)
{
	batch_deinit(&r->batch);
	sample_deinit(&r->sample);
	team_free(r->team);
}

/* As the model leaves them: logits[n_logit][n_vocab], and of each range what sampling asks for. */
static void rig_give(struct rig *r, const float *logits)
{
	struct batch *b = &r->batch;
	uint32_t n_vocab = r->sample.o.n_vocab;

	for (uint32_t i = 0; i < b->n_logit; i++) {
		float *x = b->logits + (size_t)i * b->logit_stride;

		memcpy(x, logits + (size_t)i * n_vocab, n_vocab * sizeof(*x));
		for (uint32_t k = 0; k < b->n_range; k++)
			batch_sum_range(&b->range[i * b->n_range + k], &r->k, x + k * LOGIT_RANGE,
					logit_range_tokens(n_vocab, k));
	}
}

/* Rows [first, first + n) as one batch. */
static void rig_rows(struct rig *r, const float *logits, uint32_t at, uint32_t first, uint32_t n)
{
	struct batch *b = &r->batch;

	b->n_seq = n;
	for (uint32_t i = 0; i < n; i++) {
		struct request *q = &r->request[first + i];

		q->kept.n_prompt = q->kept.n_token = at + 1;
		b->seq[i] = (struct batch_seq){ .request = q, .n_past = at, .n_row = 1 };
	}
	batch_layout(b);
	assert_int_equal(b->n_logit, n);
	rig_give(r, logits + (size_t)first * r->sample.o.n_vocab);
	sample_batch(&r->sample, b);
	assert_int_equal(b->n_token, n);
	memcpy(r->out + first, b->out, n * sizeof(r->out[0]));
}

/* Draws the token at position `at` + 1 of each row from logits[ROWS][n_vocab]. */
static void rig_step(struct rig *r, const float *logits, uint32_t at)
{
	for (uint32_t i = 0; i < ROWS; i += r->n_at_once)
		rig_rows(r, logits, at, i, r->n_at_once);
}

/* ---- what it must be, plainly: a sort of everything, in double ---- */

struct plain {
	double logit[LOGIT_RANGE * 13];
	uint32_t order[LOGIT_RANGE * 13];
	double log_z;
	uint32_t n;
};

static const double *sort_key;

static int compare_down(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return sort_key[x] != sort_key[y] ? (sort_key[x] < sort_key[y]) - (sort_key[x] > sort_key[y])
					  : (x > y) - (x < y);
}

/* Bias, then penalties: repetition once per distinct token of the window, presence once, frequency per occurrence. */
static void plain_adjust(struct plain *p, const float *x, const struct sampling *o, const int32_t *window, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		uint32_t count = 0;
		float l = x[i];

		for (uint32_t k = 0; k < o->n_bias; k++)
			if (o->bias[k].token == i)
				l += o->bias[k].bias;
		for (uint32_t k = 0; k < n; k++)
			count += (uint32_t)window[k] == i;
		if (count) {
			l = l > 0 ? l / o->repetition_penalty : l * o->repetition_penalty;
			l -= o->presence_penalty + o->frequency_penalty * (float)count;
		}
		p->logit[i] = (double)l;
		p->order[i] = i;
	}
	sort_key = p->logit;
	qsort(p->order, p->n, sizeof(p->order[0]), compare_down);
	for (uint32_t i = 0; i < p->n; i++)
		sum += exp(p->logit[i] - p->logit[p->order[0]]);
	p->log_z = p->logit[p->order[0]] + log(sum);
}

#define NEAR 3e-5 /* of a boundary: a float x / temperature of up to 90 is off by 90 * 2^-24, and so is the maximum */

/*
 * Is token what the options and u draw? It must be among what the filters leave, and u in the interval that it owns there.
 * -1: a cut is too near to tell.
 */
static int plain_allows(const struct plain *p, const struct sampling *o, double u, uint32_t token)
{
	uint32_t limit = o->top_k && o->top_k < p->n ? o->top_k : p->n, m = limit;
	double total = 0, part = 0, sum = 0, at = 0;
	bool is_by_id = !o->top_k && !(o->min_p > 0) && !(o->top_p > 0 && o->top_p < 1);
	double max = p->logit[p->order[0]];

	if (!(o->temperature > 0))
		return token == p->order[0];
#define WEIGHT(i) exp((p->logit[i] - max) / (double)o->temperature)
	for (uint32_t i = 0; i < limit; i++)
		total += WEIGHT(p->order[i]);
	for (uint32_t i = 0; i < limit; i++) {
		double w = WEIGHT(p->order[i]);

		if (i && fabs(w - (double)o->min_p) < NEAR * (double)o->min_p)
			return -1;
		if (i && o->top_p > 0 && o->top_p < 1 && fabs(part - (double)o->top_p * total) < NEAR * total)
			return -1;
		if (i && (w < (double)o->min_p || (o->top_p > 0 && o->top_p < 1 && part >= (double)o->top_p * total))) {
			m = i;
			break;
		}
		part += w;
	}
	for (uint32_t i = 0; i < m; i++)
		sum += WEIGHT(p->order[i]);
	for (uint32_t i = 0; i < m; i++) {
		uint32_t id = is_by_id ? i : p->order[i];
		double end = at + WEIGHT(id) / sum;

		if (id == token)
			return at - NEAR <= u && u <= end + NEAR;
		at = end;
	}
	return 0;
}

static void check_row(const struct plain *p, const struct sampling *o, const struct batch_token *out, uint64_t position,
		      uint32_t *n_unsure)
{
	int r = plain_allows(p, o, (double)philox_uniform(o->seed, position), (uint32_t)out->token);

	if (r < 0)
		++*n_unsure;
	assert_int_not_equal(r, 0);
	assert_true(fabs(p->logit[out->token] - p->log_z - (double)out->logprob) < 3e-5 * (1 + fabs(p->log_z)));
	assert_int_equal(out->n_top, o->n_top < p->n ? o->n_top : p->n);
	for (uint32_t i = 0; i < out->n_top; i++) {
		assert_int_equal(out->top[i].token, p->order[i]);
		assert_true(fabs(p->logit[p->order[i]] - p->log_z - (double)out->top[i].logprob) <
			    3e-5 * (1 + fabs(p->log_z)));
	}
}

static uint64_t rng_state = 7;

static uint32_t rng(void)
{
	rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng_state >> 33);
}

static float unit(void)
{
	return (float)(rng() % 65536) / 65536;
}

static void random_options(struct sampling *o, uint32_t n_vocab)
{
	*o = (struct sampling){ .repetition_penalty = 1, .seed = rng(), .penalty_last_n = 1 + rng() % HISTORY };
	if (rng() % 4)
		o->temperature = 0.2f + 2 * unit();
	if (rng() % 2)
		o->top_k = 1 + rng() % (rng() % 4 ? 50 : 2 * n_vocab);
	if (rng() % 2)
		o->top_p = unit();
	if (rng() % 3 == 0)
		o->min_p = 0.3f * unit();
	if (rng() % 2)
		o->n_top = rng() % (GYRE_TOP_MAX + 1);
	if (rng() % 3 == 0) {
		o->repetition_penalty = 0.5f + unit();
		o->presence_penalty = unit() - 0.5f;
		o->frequency_penalty = unit() - 0.5f;
	}
	for (o->n_bias = rng() % 3; o->n_bias && o->n_bias < 6 && rng() % 2; o->n_bias++)
		;
	for (uint32_t i = 0; i < o->n_bias; i++)
		o->bias[i] = (struct gyre_bias){ rng() % n_vocab, 8 * unit() - 4 };
}

/* Peaked, flat and tied rows: few distinct values make ties across blocks and ranges. */
static void random_row(float *x, uint32_t n)
{
	float spread = 12 * unit();
	bool is_tied = rng() % 4 == 0;

	for (uint32_t i = 0; i < n; i++)
		x[i] = is_tied ? (float)(rng() % 5) : spread * (unit() + unit() + unit() - 1.5f);
}

/* Thousands of rows and mixes of options: right by a plain sort in double, and the same bits from 1, 2 and 3 workers and ref/. */
static void test_against_plain(void **state)
{
	static const uint32_t sizes[] = { 1, 31, 33, 250, LOGIT_RANGE, LOGIT_RANGE + 1, 1024, 12 * LOGIT_RANGE + 5 };
	static struct rig rig[4];
	static struct plain plain;
	uint32_t n_unsure = 0, n_checked = 0;

	(void)state;
	for (size_t v = 0; v < sizeof(sizes) / sizeof(sizes[0]); v++) {
		uint32_t n = plain.n = sizes[v];
		float *x = malloc(sizeof(float) * ROWS * n);

		for (int i = 0; i < 4; i++)
			rig_open(&rig[i], i < 3 ? i + 1 : 1, i < 3 ? ISA_MAX : ISA_REF, n);
		rig[3].n_at_once = 1; /* which the leader may do alone */
		for (uint32_t round = 0; round < 70; round++) {
			uint32_t at = rng() % HISTORY;

			for (uint32_t i = 0; i < ROWS; i++) {
				random_row(x + i * n, n);
				random_options(&rig[0].request[i].kept.sampling, n);
				for (uint32_t k = 0; k <= HISTORY; k++)
					rig[0].token[i][k] = (int32_t)(rng() % n);
			}
			for (int i = 0; i < 4; i++) {
				for (uint32_t q = 0; q < ROWS; q++)
					rig[i].request[q].kept.sampling = rig[0].request[q].kept.sampling;
				if (i)
					memcpy(rig[i].token, rig[0].token, sizeof(rig[i].token));
			}
			for (int i = 3; i >= 0; i--)
				rig_step(&rig[i], x, at);
			for (uint32_t q = 0; q < ROWS; q++) {
				const struct sampling *o = &rig[0].request[q].kept.sampling;
				const struct batch_token *out = &rig[0].out[q];
				uint32_t window = at + 1 < o->penalty_last_n ? at + 1 : o->penalty_last_n;

				for (int i = 1; i < 4; i++) {
					const struct batch_token *other = &rig[i].out[q];

					assert_int_equal(out->token, other->token);
					assert_memory_equal(&out->logprob, &other->logprob, sizeof(float));
					assert_int_equal(out->n_top, other->n_top);
					assert_memory_equal(out->top, other->top, sizeof(out->top[0]) * out->n_top);
				}
				plain_adjust(&plain, x + q * n, o, rig[0].token[q] + at + 1 - window, window);
				check_row(&plain, o, out, at + 1, &n_unsure);
				n_checked++;
			}
		}
		for (int i = 0; i < 4; i++)
			rig_close(&rig[i]);
		free(x);
	}
	assert_true(n_checked > 2500 && n_unsure < n_checked / 10);
}

/* Logits that are no numbers, or infinite, end in some token of the vocabulary and no more than that is promised. */
static void test_no_numbers(void **state)
{
	static const float odd[] = { NAN, -INFINITY, INFINITY, 0 };
	enum { N = 1100 };
	static float x[ROWS * N];
	static struct rig rig;

	(void)state;
	rig_open(&rig, 2, ISA_MAX, N);
	for (uint32_t round = 0; round < 64; round++) {
		for (uint32_t i = 0; i < ROWS * N; i++)
			x[i] = odd[round % 4 == 3 ? rng() % 4 : round % 4];
		for (uint32_t i = 0; i < ROWS; i++) {
			random_options(&rig.request[i].kept.sampling, N);
			rig.request[i].kept.sampling.n_top = GYRE_TOP_MAX;
		}
		rig_step(&rig, x, rng() % HISTORY);
		for (uint32_t i = 0; i < ROWS; i++) {
			assert_in_range(rig.out[i].token, 0, N - 1);
			for (uint32_t k = 0; k < rig.out[i].n_top; k++)
				assert_in_range(rig.out[i].top[k].token, 0, N - 1);
		}
	}
	rig_close(&rig);
}

/* The first guess is what is drawn, the second is not: two tokens count, the third row is not looked at, the next sequence moves up. */
static void test_drafts(void **state)
{
	enum { N = 40, FIRST = 7, SECOND = 9, OTHER = 11 };
	static float x[4 * N];
	static struct rig rig;
	struct batch *b = &rig.batch;
	struct request *r = &rig.request[0];

	(void)state;
	rig_open(&rig, 2, ISA_MAX, N);
	x[FIRST] = x[N + OTHER] = x[2 * N + OTHER] = x[3 * N + SECOND] = 1;
	r[0].token[5] = FIRST;
	r[0].token[6] = SECOND;
	r[0].kept.n_prompt = r[0].kept.n_token = r[1].kept.n_prompt = r[1].kept.n_token = 5;
	b->n_seq = 2;
	b->seq[0] = (struct batch_seq){ .request = &r[0], .n_past = 4, .n_row = 3, .n_draft = 2 };
	b->seq[1] = (struct batch_seq){ .request = &r[1], .n_past = 4, .n_row = 1 };
	batch_layout(b);
	assert_int_equal(b->n_logit, 4);
	rig_give(&rig, x);
	sample_batch(&rig.sample, b);
	assert_int_equal(b->n_token, 3);
	assert_int_equal(b->out[0].token, FIRST);
	assert_int_equal(b->out[1].token, OTHER);
	assert_int_equal(b->out[2].token, SECOND);
	assert_int_equal(b->out[1].seq, 0);
	assert_int_equal(b->out[2].seq, 1);
	assert_int_equal(r[0].kept.n_token, 7);
	assert_int_equal(r[0].token[6], OTHER);
	assert_int_equal(r[0].kept.n_past, 6);
	assert_int_equal(r[1].kept.n_past, 5);
	assert_int_equal((int)spec_n_hit(&rig.spec), 1);
	rig_close(&rig);
}

/* Frequencies of an unfiltered draw follow the softmax: a wrong cumulative sum shows here. */
static void test_distribution(void **state)
{
	float x[ROWS * 2];
	uint32_t n_first = 0;
	static struct rig rig;

	(void)state;
	rig_open(&rig, 2, ISA_REF, 2);
	for (uint32_t i = 0; i < ROWS; i++) {
		x[2 * i] = 1.0986123f; /* 3 : 1 */
		x[2 * i + 1] = 0;
		rig.request[i].kept.sampling.temperature = 1;
	}
	for (uint64_t round = 0; round < 4000; round++) {
		for (uint32_t i = 0; i < ROWS; i++)
			rig.request[i].kept.sampling.seed = round * ROWS + i;
		rig_step(&rig, x, 0);
		for (uint32_t i = 0; i < ROWS; i++)
			n_first += rig.out[i].token == 0;
	}
	assert_in_range(n_first, 17700, 18300);
	rig_close(&rig);
}

static const struct kernels *counted;
static uint32_t n_looked_at;

static float count_max(const float *x, size_t n)
{
	__atomic_fetch_add(&n_looked_at, n, __ATOMIC_RELAXED);
	return counted->max(x, n);
}

/* The last batch's logits once more. */
static void rig_again(struct rig *r)
{
	for (uint32_t i = 0; i < ROWS; i++)
		r->request[i].kept.n_token--;
	sample_batch(&r->sample, &r->batch);
}

/* However the workers are divided between nodes: a range that two of them scan is time lost, one that none does is last step's. */
static void test_each_range_is_scanned_once(void **state)
{
	static const int team[][2] = { { 1, 1 }, { 3, 1 }, { 2, 2 }, { 3, 2 }, { 5, 3 } };
	enum { N = LOGIT_RANGE * 3 + 100 };
	static float x[ROWS * N];
	static struct rig rig;
	struct kernels k;

	(void)state;
	for (uint32_t i = 0; i < ROWS * N; i++)
		x[i] = (float)(rng() % 1000) / 100;
	for (size_t i = 0; i < sizeof(team) / sizeof(team[0]); i++) {
		rig_open_on(&rig, team[i][0], team[i][1], ISA_MAX, N);
		k = rig.k;
		counted = &k;
		for (uint32_t q = 0; q < ROWS / 2; q++) /* the others are as the model gave them */
			rig.request[q].kept.sampling = (struct sampling){ .n_bias = 1 };
		rig_step(&rig, x, 0);
		rig.k.max = count_max;
		n_looked_at = 0;
		rig_again(&rig);
		assert_int_equal(n_looked_at, ROWS / 2 * N);
		rig_close(&rig);
	}
}

/* Once per distinct token, though it stands twice in the window. */
static void test_greedy_penalty(void **state)
{
	static float x[ROWS * 3];
	static struct rig rig;

	(void)state;
	rig_open(&rig, 1, ISA_REF, 3);
	for (uint32_t i = 0; i < ROWS; i++) {
		x[3 * i] = 3, x[3 * i + 1] = 2, x[3 * i + 2] = 1;
		rig.request[i].kept.sampling.repetition_penalty = 2;
		rig.request[i].kept.sampling.penalty_last_n = 2;
	}
	rig_step(&rig, x, 1);
	assert_int_equal(rig.out[0].token, 1);
	assert_true(rig.batch.logits[0] == 1.5f);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_philox),
					    cmocka_unit_test(test_log),
					    cmocka_unit_test(test_against_plain),
					    cmocka_unit_test(test_no_numbers),
					    cmocka_unit_test(test_drafts),
					    cmocka_unit_test(test_distribution),
					    cmocka_unit_test(test_each_range_is_scanned_once),
					    cmocka_unit_test(test_greedy_penalty) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
