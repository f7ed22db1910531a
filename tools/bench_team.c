/* `gyre bench team`: what it costs the workers to meet, beside a cache line's way there and back between the first two. */
#include "tools/tool.h"

#include "daemon/util/topology.h"
#include "tools/bench.h"

#define TURNS 11
#define GROUP 20000

struct job {
	struct team *team;
	double ns; /* a barrier; worker 0's */
};

static void meet(void *arg, int worker)
{
	struct job *j = arg;
	double begin = now_s();

	for (int i = 0; i < GROUP; i++)
		team_barrier(j->team, worker);
	if (worker == 0)
		j->ns = (now_s() - begin) * 1e9 / GROUP;
}

static void nothing(void *arg, int worker)
{
	(void)arg;
	(void)worker;
}

static double run_ns(struct team *t)
{
	double begin = now_s();

	for (int i = 0; i < GROUP; i++)
		team_run(t, nothing, NULL);
	return (now_s() - begin) * 1e9 / GROUP;
}

int bench_team_main(const struct args *a)
{
	static struct topology t;
	static struct layout l;
	double line[TURNS], barrier[TURNS], run[TURNS], ratio[TURNS];
	struct error e = { "" };
	struct job j;
	int n;

	if (topology_read(&t, "", NULL) < 0 || t.n_core < 2)
		return fail(TOOL_FAILED, "the team bench needs two cores in the affinity mask");
	if (bench_team(&j.team, &l, a->n_thread, a->n_node, &e) < 0)
		return fail(TOOL_FAILED, "%s", e.text);
	for (int i = 0; i < TURNS; i++) {
		line[i] = bench_pingpong_ns(t.core[0].cpu, t.core[1].cpu);
		team_run(j.team, meet, &j);
		barrier[i] = j.ns;
		run[i] = run_ns(j.team);
		ratio[i] = barrier[i] / line[i];
	}
	n = team_size(j.team);
	team_free(j.team);
	if (a->json)
		return print_json(json_pack("{s:i,s:f,s:f,s:f,s:f}", "threads", n, "hop_pair_ns", median(line, TURNS),
					    "barrier_p50_ns", median(barrier, TURNS), "barrier_ratio",
					    median(ratio, TURNS), "run_p50_ns", median(run, TURNS)));
	printf("hop_pair     %8.0f ns\nbarrier_p50  %8.0f ns  (%.2f x hop_pair, %d threads)\nrun_p50      %8.0f ns\n",
	       median(line, TURNS), median(barrier, TURNS), median(ratio, TURNS), n, median(run, TURNS));
	return TOOL_OK;
}
