/*
 * `gyre bench team`: the time of a barrier, and of adding up the nodes' partial sums, beside the round trip of a cache line between
 * the first two cores. An all-reduce is that of a step: each node's workers leave new partial sums and all meet; then each worker adds
 * them up to an x of its own (reduce_is_own), or adds up its share of one x, all meet again, and each reads it.
 */
#include "tools/tool.h"

#include "daemon/model/reduce.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"
#include "daemon/machine/topology.h"
#include "tools/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TURNS    11
#define MEETINGS 20000
#define FLOATS   (8u << 20) /* that all reductions of a turn move, over their size: the larger the fewer */

/* Floats of a row, and rows: the residual streams of small and large models, and a tile of a prompt's rows. */
static const struct size {
	uint32_t n_col, n_row;
} sizes[] = { { 512, 1 }, { 2048, 1 }, { 8192, 1 }, { 2048, 8 }, { 2048, 64 } };

#define N_SIZE BENCH_SIZES
_Static_assert(sizeof(sizes) / sizeof(sizes[0]) == N_SIZE, "sizes");
#define FLOAT_MAX  (2048u * 64) /* of the largest */
#define OWN_FLOATS (2048u * 8)  /* of the largest of one tile of rows */

struct job {
	struct team *team;
	struct kernels k;
	struct plan_sum sum;
	struct reduce reduce;
	float *x, *own_x; /* own_x[n_worker][OWN_FLOATS] */
	struct size size;
	uint32_t n_turn;
	double ns; /* a turn; worker 0's */
};

static void meet(void *arg, int worker)
{
	struct job *j = arg;
	double begin = now_s();

	for (uint32_t i = 0; i < j->n_turn; i++)
		team_barrier(j->team, worker);
	if (worker == 0)
		j->ns = (now_s() - begin) * 1e9 / j->n_turn;
}

static void nothing(void *arg, int worker)
{
	(void)arg;
	(void)worker;
}

static double run_ns(struct team *t, uint32_t n)
{
	double begin = now_s();

	for (uint32_t i = 0; i < n; i++)
		team_run(t, nothing, NULL);
	return (now_s() - begin) * 1e9 / n;
}

/* The worker's share of a product's output: lines of the worker's own. */
static void leave_sums(const struct job *j, const struct team_node *node, int worker)
{
	size_t begin, end;

	team_range(j->size.n_col, node->n, worker - node->first, LANES, &begin, &end);
	for (uint32_t r = 0; r < j->size.n_row; r++)
		memset(j->reduce.sum[node->index] + r * j->reduce.stride + begin, 0x3f, (end - begin) * sizeof(float));
}

/* As daemon/model/linear.c does it before it packs rows. */
static void add_up(const struct job *j, int worker)
{
	size_t n_row = j->size.n_row, stride = j->reduce.stride, begin = 0, end = n_row;
	bool is_own = reduce_is_own(j->sum.n_partial, n_row);

	if (!is_own && n_row <= ACT_TILE) {
		reduce_rows(&j->reduce, &j->sum, NULL, j->team, worker, j->x, n_row);
	} else {
		if (!is_own)
			team_range(n_row, team_size(j->team), worker, ACT_TILE, &begin, &end);
		for (size_t row = begin; row < end; row++)
			reduce_add(&j->reduce, &j->sum, NULL, is_own ? j->own_x + (size_t)worker * OWN_FLOATS : j->x,
				   row, 0, stride);
		if (!is_own)
			team_barrier(j->team, worker);
	}
	for (size_t i = 0; !is_own && i < n_row * stride; i += LANES) /* a line each */
		(void)((volatile float *)j->x)[i];
}

static void all_reduce(void *arg, int worker)
{
	struct job *j = arg;
	const struct team_node *node = team_node(j->team, worker);
	double spent = 0;

	for (uint32_t turn = 0; turn < j->n_turn; turn++) {
		double begin;

		leave_sums(j, node, worker);
		team_barrier(j->team, worker); /* all sums are there: the all-reduce begins */
		begin = now_s();
		team_barrier(j->team, worker);
		add_up(j, worker);
		spent += now_s() - begin;
		team_barrier(j->team, worker); /* nobody needs the sums any more */
	}
	if (worker == 0)
		j->ns = spent * 1e9 / j->n_turn;
}

static double reduce_ns(struct job *j, const struct size *s)
{
	uint32_t n = FLOATS / (s->n_col * s->n_row);

	j->size = *s;
	j->reduce.stride = s->n_col;
	j->n_turn = min_u32(max_u32(n, 50), MEETINGS) / 4;
	memset(j->x, 0, (size_t)s->n_col * s->n_row * sizeof(*j->x));
	memset(j->own_x, 0, (size_t)team_size(j->team) * OWN_FLOATS * sizeof(*j->own_x));
	team_run(j->team, all_reduce, j);
	return j->ns;
}

/* One chunk of columns, and one partial sum, for each node. */
static int open_reduce(struct job *j, int n_node)
{

	j->sum = (struct plan_sum){ .n_chunk = (uint32_t)n_node, .n_partial = (uint32_t)n_node };
	j->x = memory_array(FLOAT_MAX, sizeof(float));
	j->own_x = memory_array((size_t)team_size(j->team) * OWN_FLOATS, sizeof(float));
	for (uint32_t i = 0; i < (uint32_t)n_node; i++) {
		j->sum.partial[i] = (struct plan_range){ i, i + 1 };
		j->reduce.sum[i] = memory_array(FLOAT_MAX, sizeof(float));
		if (!j->reduce.sum[i])
			return -ENOMEM;
	}
	kernels_select(&j->k, ISA_MAX);
	j->reduce.k = &j->k;
	return j->x && j->own_x ? 0 : -ENOMEM;
}

static void close_job(struct job *j)
{
	for (int i = 0; i < NODE_MAX; i++)
		free(j->reduce.sum[i]);
	free(j->x);
	free(j->own_x);
	team_free(j->team);
}

static void take(struct job *j, const int cpu[2], struct team_figures *f)
{
	double line[TURNS], barrier[TURNS], run[TURNS], ratio[TURNS], reduce[N_SIZE][TURNS],
		reduce_ratio[N_SIZE][TURNS];

	for (int i = 0; i < TURNS; i++) {
		double hop = line[i] = bench_pingpong_ns(cpu[0], cpu[1]);

		j->n_turn = MEETINGS / 4;
		team_run(j->team, meet, j);
		barrier[i] = j->ns;
		ratio[i] = barrier[i] / hop;
		run[i] = run_ns(j->team, MEETINGS / 4);
		for (size_t k = 0; k < N_SIZE; k++) {
			reduce[k][i] = reduce_ns(j, &sizes[k]);
			reduce_ratio[k][i] = reduce[k][i] / hop;
		}
	}
	f->hop_ns = median(line, TURNS);
	f->barrier_ns = median(barrier, TURNS);
	f->barrier_ratio = median(ratio, TURNS);
	f->run_ns = median(run, TURNS);
	for (size_t k = 0; k < N_SIZE; k++) {
		f->reduce_ns[k] = median(reduce[k], TURNS);
		f->reduce_ratio[k] = median(reduce_ratio[k], TURNS);
	}
}

int bench_team_measure(struct team_figures *f, uint32_t n_worker, uint32_t n_node, struct error *e)
{
	static struct topology t; /* read first: the caller is pinned from then on */
	static struct layout l;
	struct job j = { 0 };
	int r;

	if (!t.n_core && (topology_read(&t, "", NULL) < 0 || t.n_core < 2))
		return error_set(e, -ENODEV, "the team bench needs two cores in the affinity mask");
	r = bench_team(&j.team, &l, n_worker, n_node, e);
	if (r < 0)
		return r;
	*f = (struct team_figures){ .n_node = team_n_node(j.team), .n_worker = team_size(j.team) };
	r = open_reduce(&j, f->n_node);
	if (r == 0)
		take(&j, (int[]){ t.core[0].cpu, t.core[1].cpu }, f);
	close_job(&j);
	return r < 0 ? error_set(e, r, "no memory for partial sums of %d nodes", f->n_node) : 0;
}

double bench_reduce_ns(const struct team_figures *f, uint32_t n, double *latency_ns)
{
	const uint32_t least = 0, most = 2; /* of one row */
	double slope = (f->reduce_ns[most] - f->reduce_ns[least]) / (sizes[most].n_col - sizes[least].n_col);

	*latency_ns = f->reduce_ns[least] - slope * sizes[least].n_col;
	return *latency_ns + slope * n;
}

static json_t *figures_json(const struct team_figures *f)
{
	json_t *list = json_array();

	for (size_t k = 0; k < N_SIZE; k++)
		json_array_append_new(list, json_pack("{s:i,s:i,s:f,s:f}", "floats", (int)sizes[k].n_col, "rows",
						      (int)sizes[k].n_row, "p50_ns", f->reduce_ns[k], "ratio",
						      f->reduce_ratio[k]));
	return json_pack("{s:i,s:i,s:f,s:f,s:f,s:o}", "nodes", f->n_node, "threads", f->n_worker, "barrier_p50_ns",
			 f->barrier_ns, "barrier_ratio", f->barrier_ratio, "run_p50_ns", f->run_ns, "all_reduce", list);
}

static void print_figures(const struct team_figures *f)
{
	printf("\n%d workers on %d node%s\n  barrier               %8.0f ns  %6.2f x hop_pair\n  run                   "
	       "%8.0f ns\n",
	       f->n_worker, f->n_node, f->n_node > 1 ? "s" : "", f->barrier_ns, f->barrier_ratio, f->run_ns);
	for (size_t k = 0; k < N_SIZE && f->n_node > 1; k++)
		printf("  all-reduce %5u x %-3u %8.0f ns  %6.2f x hop_pair\n", sizes[k].n_col, sizes[k].n_row,
		       f->reduce_ns[k], f->reduce_ratio[k]);
}

int bench_team_main(const struct args *a)
{
	static struct team_figures f[NODE_MAX];
	json_t *list = json_array();
	struct error e = { "" };
	uint32_t n_worker = a->n_thread ? a->n_thread : (uint32_t)topology_default_threads(), n = 0;
	uint32_t most = a->n_node ? a->n_node : min_u32(n_worker, NODE_MAX);

	for (uint32_t k = a->n_node ? a->n_node : 1; k <= most; k = k < most && 2 * k > most ? most : 2 * k, n++) {
		if (bench_team_measure(&f[n], n_worker, k, &e) < 0) {
			json_decref(list);
			return fail(TOOL_FAILED, "%s", e.text);
		}
		json_array_append_new(list, figures_json(&f[n]));
	}
	if (a->json)
		return print_json(json_pack("{s:i,s:f,s:f,s:f,s:f,s:o}", "threads", f[0].n_worker, "hop_pair_ns",
					    f[0].hop_ns, "barrier_p50_ns", f[0].barrier_ns, "barrier_ratio",
					    f[0].barrier_ratio, "run_p50_ns", f[0].run_ns, "nodes", list));
	json_decref(list);
	printf("hop_pair              %8.0f ns\n", f[0].hop_ns);
	for (uint32_t i = 0; i < n; i++)
		print_figures(&f[i]);
	return TOOL_OK;
}
