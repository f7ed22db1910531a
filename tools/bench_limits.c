/*
 * The roofs: how fast this machine reads memory, and how many integer multiply-adds it does, in this very run. Every way of
 * reading (streams, prefetch distance) takes its turn beside the model's, since a neighbour on the host may halve any of them
 * for a minute.
 */
#include "tools/bench.h"

#include "daemon/util/minmax.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES_MIN ((size_t)512 << 20)
#define READ_BYTES_MAX ((size_t)4 << 30)
#define PEAK_S         0.01
#define PEAK_ROUNDS    5000

static const struct way {
	int n_stream;
	size_t ahead;
} ways[LIMIT_WAYS] = {
	{ 1, 0 },    { 1, 1024 },  { 1, 4096 }, { 1, 16384 }, { 2, 0 },    { 2, 1024 },
	{ 2, 4096 }, { 2, 16384 }, { 4, 0 },    { 4, 1024 },  { 4, 4096 }, { 8, 0 },
};

static size_t cache_bytes(void)
{
	long n = sysconf(_SC_LEVEL3_CACHE_SIZE);

	return n > 0 ? (size_t)n : 0;
}

static size_t own_bytes(void)
{
	size_t want = 4 * cache_bytes();

	if (want < READ_BYTES_MIN)
		want = READ_BYTES_MIN;
	return want > READ_BYTES_MAX ? READ_BYTES_MAX : want;
}

/* The weights themselves, since one part of a machine's memory may be faster than another. */
static int choose_pool(struct bench_limits *l, const struct pool *weights, struct error *e)
{
	int r;

	l->pool = weights;
	l->bytes = min_size(weights->bytes, READ_BYTES_MAX);
	if (weights->bytes >= 4 * cache_bytes() && weights->bytes >= READ_BYTES_MIN)
		return 0;
	l->pool = &l->own;
	l->bytes = own_bytes();
	r = pool_map(&l->own, l->bytes, -1, "gyre-bench", e);
	if (r == 0)
		memset(l->own.base, 1, l->bytes); /* zero pages might all be the same one */
	return r;
}

int bench_limits_open(struct bench_limits *l, const struct pool *weights, enum kernels_isa isa, struct team *t,
		      uint32_t n_turn, struct error *e)
{
	int r = choose_pool(l, weights, e);

	if (r < 0)
		return r;
	kernels_limits(&l->k, isa);
	l->team = t;
	l->n_turn = n_turn;
	l->read = calloc((size_t)LIMIT_WAYS * n_turn, sizeof(*l->read));
	l->peak[0] = calloc(n_turn, sizeof(double));
	l->peak[1] = calloc(n_turn, sizeof(double));
	return l->read && l->peak[0] && l->peak[1] ? 0 : error_set(e, -ENOMEM, "no memory for %u turns", n_turn);
}

void bench_limits_close(struct bench_limits *l)
{
	pool_unmap(&l->own);
	free(l->read);
	free(l->peak[0]);
	free(l->peak[1]);
	memset(l, 0, sizeof(*l));
}

struct job {
	struct bench_limits *l;
	struct way way;
	int n_worker;           /* the workers that multiply; the others wait */
	double rate[TEAM_MAX];  /* multiply-adds a second */
	uint64_t sum[TEAM_MAX]; /* keeps the loads alive */
};

static void read_share(void *arg, int worker)
{
	struct job *j = arg;
	size_t begin, end;

	team_range(j->l->bytes, team_size(j->l->team), worker, LIMIT_ALIGN, &begin, &end);
	end -= end % LIMIT_ALIGN;
	j->sum[worker] ^= j->l->k.read(j->l->pool->base + begin, end - begin, j->way.n_stream, j->way.ahead);
}

static void multiply(void *arg, int worker)
{
	struct job *j = arg;
	double begin = now_s(), now = begin, n = 0;

	if (worker >= j->n_worker)
		return;
	for (; now < begin + PEAK_S; now = now_s())
		n += (double)j->l->k.mul_add(PEAK_ROUNDS);
	j->rate[worker] = n / (now - begin);
}

static double peak_gmacs(struct job *j, int n_worker)
{
	double sum = 0;

	j->n_worker = n_worker;
	team_run(j->l->team, multiply, j);
	for (int i = 0; i < n_worker; i++)
		sum += j->rate[i];
	return sum * 1e-9;
}

static double read_gbps(struct job *j, int way)
{
	double begin = now_s();

	j->way = ways[way];
	team_run(j->l->team, read_share, j);
	return (double)j->l->bytes / (now_s() - begin) / 1e9;
}

void bench_limits_turn(struct bench_limits *l)
{
	static struct job j;

	j.l = l;
	for (int i = 0; i < LIMIT_WAYS; i++)
		l->read[(size_t)i * l->n_turn + l->n] = read_gbps(&j, i);
	l->peak[0][l->n] = peak_gmacs(&j, 1);
	l->peak[1][l->n] = peak_gmacs(&j, team_size(l->team));
	l->n++;
}

/* The way of the best median so far. */
static int best_way(const struct bench_limits *l, double *gbps)
{
	int best = 0;

	*gbps = 0;
	for (int i = 0; i < LIMIT_WAYS; i++) {
		double x = median(l->read + (size_t)i * l->n_turn, l->n);

		if (x <= *gbps)
			continue;
		*gbps = x;
		best = i;
	}
	return best;
}

void bench_limits_now(struct bench_limits *l, struct bench_moment *m)
{
	static struct job j;
	double median_gbps;

	j.l = l;
	m->read_gbps = read_gbps(&j, best_way(l, &median_gbps));
	m->peak_gmacs = peak_gmacs(&j, team_size(l->team));
}

void bench_limits_roof(const struct bench_limits *l, struct bench_roof *r)
{
	const struct way *way = &ways[best_way(l, &r->read_gbps)];

	snprintf(r->read_way, sizeof(r->read_way), "%d streams, prefetch %zu", way->n_stream, way->ahead);
	r->peak_one_gmacs = median(l->peak[0], l->n);
	r->peak_gmacs = median(l->peak[1], l->n);
}
