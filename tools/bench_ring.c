/*
 * `gyre bench ring`: the time that the rings add. The daemon's leader is pinned to the first core, we take the second, and the bare
 * cache-line and eventfd round trips run between the same two, and the wake-up of a core as idle as the daemon's. Answers are judged by their ratios.
 */
#include "tools/tool.h"

#include "client/client.h"
#include "daemon/machine/topology.h"
#include "shm/atomic.h"
#include "tools/bench.h"
#include "tools/steps.h"

#include <errno.h>
#include <string.h>

#define TURNS        7 /* of each figure and its limit, in turn: the host moves the cores of a virtual machine about */
#define SPIN_ROUNDS  4000
#define PARK_ROUNDS  30
#define PARK_AFTER_S 2e-3 /* well past the daemon's spin-us */
#define TOKEN_ROUNDS 200
#define STREAM       128u /* tokens */
#define WAIT_NS      10000000000ull

struct figures {
	double pingpong_ns, eventfd_ns, wake_ns, nop_spin_p50_ns, nop_spin_p99_ns, nop_park_p50_ns,
		first_token_added_p50_us;
	double spin_ratio, park_ratio; /* medians of the turns' ratios to their limits */
	bool has_first;
	struct steps stream; /* where the daemon's time went meanwhile */
};

/* Submit the prepared entry and take its last completion. Seconds until the first one, or -errno. */
static double round_trip(struct gyre *g, uint64_t *step_ns)
{
	const struct gyre_cqe *cqe;
	double begin = now_s(), first = 0;
	int r = gyre_submit(g);

	for (bool is_last = false; r >= 0 && !is_last;) {
		r = gyre_wait_cqe(g, &cqe, WAIT_NS);
		if (r < 0)
			break;
		if (first == 0) {
			first = now_s() - begin;
			*step_ns = load_relaxed64(&g->region.daemon->step_ns);
		}
		r = cqe->res;
		is_last = !(cqe->flags & GYRE_CQE_MORE);
		gyre_cqe_seen(g, cqe);
	}
	return r < 0 ? r : first;
}

static double nop(struct gyre *g)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	uint64_t ignored;

	if (!sqe)
		return -EAGAIN;
	gyre_prep_nop(sqe);
	return round_trip(g, &ignored);
}

static int measure_spin(struct gyre *g, double *p50_ns, double *p99_ns)
{
	static double x[SPIN_ROUNDS];

	for (int i = -SPIN_ROUNDS / 10; i < SPIN_ROUNDS; i++) {
		double s = nop(g);

		if (s < 0)
			return (int)s;
		x[i < 0 ? 0 : i] = s * 1e9;
	}
	*p50_ns = percentile(x, SPIN_ROUNDS, 0.5);
	*p99_ns = percentile(x, SPIN_ROUNDS, 0.99);
	return 0;
}

static int measure_park(struct gyre *g, double *p50_ns)
{
	double x[PARK_ROUNDS];

	for (int i = 0; i < PARK_ROUNDS; i++) {
		double until = now_s() + PARK_AFTER_S;

		/* Awake ourselves: a sleep here would add our own wake-up to the figure. */
		while (now_s() < until || !load_relaxed(&g->region.daemon->need_wakeup))
			if (now_s() > until + 1)
				return -ETIMEDOUT;
		x[i] = nop(g) * 1e9;
		if (x[i] < 0)
			return -EIO;
	}
	*p50_ns = median(x, PARK_ROUNDS);
	return 0;
}

/* From submit to the first token, less the forward pass of that step as the daemon's page gives it. */
static int measure_first(struct gyre *g, struct figures *f)
{
	double x[TOKEN_ROUNDS];

	for (int i = -5; i < TOKEN_ROUNDS; i++) {
		struct gyre_sqe *sqe = gyre_get_sqe(g);
		uint64_t step_ns = 0;
		double s;
		int r = sqe ? gyre_prep_generate(g, sqe, "The", 3, 1) : -EAGAIN;

		if (r < 0)
			return r;
		s = round_trip(g, &step_ns);
		if (s < 0)
			return (int)s;
		if (!step_ns)
			return 0; /* a daemon that does not say */
		x[i < 0 ? 0 : i] = s * 1e6 - (double)step_ns * 1e-3;
	}
	f->first_token_added_p50_us = median(x, TOKEN_ROUNDS);
	f->has_first = true;
	return 0;
}

static int measure_stream(struct gyre *g, struct figures *f)
{
	static struct steps before;
	struct gyre_sqe *sqe;
	uint64_t ignored;
	double s;
	int r;

	if (steps_query(g, &before) != TOOL_OK)
		return -EPROTO;
	sqe = gyre_get_sqe(g);
	r = sqe ? gyre_prep_generate(g, sqe, "The", 3, STREAM) : -EAGAIN;
	if (r < 0)
		return r;
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	s = round_trip(g, &ignored);
	if (s < 0)
		return (int)s;
	if (steps_query(g, &f->stream) != TOOL_OK)
		return -EPROTO;
	steps_subtract(&f->stream, &before);
	return 0;
}

static int print_figures(const struct args *a, const struct figures *f)
{
	if (a->json)
		return print_json(json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:o,s:o}", "pingpong_ns", f->pingpong_ns,
					    "nop_spin_ratio", f->spin_ratio, "nop_park_ratio", f->park_ratio,
					    "nop_spin_p50_ns", f->nop_spin_p50_ns, "nop_spin_p99_ns",
					    f->nop_spin_p99_ns, "nop_park_p50_ns", f->nop_park_p50_ns, "eventfd_ns",
					    f->eventfd_ns, "wake_ns", f->wake_ns, "first_token_added_p50_us",
					    f->has_first ? json_real(f->first_token_added_p50_us) : json_null(),
					    "stream_steps", steps_json(&f->stream)));
	printf("pingpong                %9.0f ns\nnop_spin_p50            %9.0f ns  (%.2f x pingpong)\nnop_spin_p99    "
	       "        %9.0f ns\n"
	       "eventfd                 %9.0f ns\nwake of an idle core    %9.0f ns\n"
	       "nop_park_p50            %9.0f ns  (%.2f x wake of an idle core)\n",
	       f->pingpong_ns, f->nop_spin_p50_ns, f->spin_ratio, f->nop_spin_p99_ns, f->eventfd_ns, f->wake_ns,
	       f->nop_park_p50_ns, f->park_ratio);
	if (f->has_first)
		printf("first_token_added_p50   %9.1f us\n", f->first_token_added_p50_us);
	printf("\none stream, the client spinning; around the pass: %.2f %% of a step\n",
	       100 * steps_own_share(&f->stream));
	steps_print(&f->stream);
	return TOOL_OK;
}

/* The daemon sleeps while the limits are taken: it has nothing to do. */
static int measure_nops(struct gyre *g, const struct topology *t, struct figures *f)
{
	double line[TURNS], event[TURNS], wake[TURNS], spin[TURNS], p99[TURNS], park[TURNS], spin_ratio[TURNS],
		park_ratio[TURNS];

	for (int i = 0; i < TURNS; i++) {
		int r;

		line[i] = bench_pingpong_ns(t->core[1].cpu, t->core[0].cpu);
		r = measure_spin(g, &spin[i], &p99[i]);
		event[i] = bench_eventfd_ns(t->core[1].cpu, t->core[0].cpu);
		wake[i] = bench_wake_ns(t->core[1].cpu, t->core[0].cpu, PARK_AFTER_S); /* as idle as the daemon's */
		if (r == 0)
			r = measure_park(g, &park[i]);
		if (r < 0)
			return r;
		spin_ratio[i] = spin[i] / line[i];
		park_ratio[i] = park[i] / wake[i];
	}
	f->pingpong_ns = median(line, TURNS);
	f->nop_spin_p50_ns = median(spin, TURNS);
	f->nop_spin_p99_ns = median(p99, TURNS);
	f->spin_ratio = median(spin_ratio, TURNS);
	f->eventfd_ns = median(event, TURNS);
	f->wake_ns = median(wake, TURNS);
	f->nop_park_p50_ns = median(park, TURNS);
	f->park_ratio = median(park_ratio, TURNS);
	return 0;
}

static int measure_rings(const struct args *a, const struct topology *t, struct figures *f)
{
	struct link l;
	int code = link_open(&l, a), r;

	if (code != TOOL_OK)
		return code;
	l.g->spin_ns = UINT64_MAX; /* never park: the figure is the daemon's */
	/* After the private daemon was started: a mask of one core would be inherited. */
	r = measure_nops(l.g, t, f);
	if (r == 0)
		r = measure_first(l.g, f);
	if (r == 0)
		r = measure_stream(l.g, f);
	link_close(&l);
	return r < 0 ? fail(TOOL_FAILED, "%s",
			    r == -ETIMEDOUT ? "the daemon did not go to sleep: others use it" : strerror(-r))
		     : TOOL_OK;
}

int bench_ring_main(const struct args *given)
{
	static struct topology t;
	static struct figures f;
	struct args a = *given;
	int code;

	if (topology_read(&t, "", NULL) < 0 || t.n_core < 2)
		return fail(TOOL_FAILED, "the ring bench needs two cores in the affinity mask");
	a.n_thread = a.n_thread ? a.n_thread : 1; /* our own core stays ours */
	code = measure_rings(&a, &t, &f);
	return code == TOOL_OK ? print_figures(&a, &f) : code;
}
