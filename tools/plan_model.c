/*
 * `gyre plan -m FILE`: how a model is divided between nodes, and the gain by it here. The prediction is arithmetic on
 * figures of this run: a step reads the weights of the fullest node at the bandwidth of a node, and pays for two exchanges a
 * layer and five barriers, which several nodes pass in more rounds. Exchanges between more than two nodes have a barrier more.
 */
#include "tools/plan.h"

#include "daemon/model/model.h"
#include "daemon/util/minmax.h"
#include "tools/bench.h"

#include <errno.h>
#include <string.h>

#define TURNS       3u
#define BARRIERS    5
#define REDUCTIONS  2
#define PREDICTIONS 4  /* 1, 2, 4 and 8 nodes */
#define STREAMS     16 /* at once, for the advice */

struct figures {
	struct bench_roof roof;
	struct team_figures team;
	double node_gbps, node_gmacs; /* of one NUMA node */
	double hop_scale;             /* of a line between NUMA nodes, over one between two cores here */
};

struct shape {
	const struct gguf *g;
	uint32_t n_layer;
	double macs; /* of a row */
};

static bool is_of_experts(const struct gguf_tensor *t, enum plan_axis axis)
{
	return axis == PLAN_ROW && t->n_dim > 2;
}

static bool is_head(const struct gguf *g, struct gguf_str name)
{
	return gguf_str_eq(name, gguf_tensor_find(g, "output.weight") ? "output.weight" : "token_embd.weight");
}

/* Multiply-adds of a row; of experts, those that it takes. */
static double tensor_macs(const struct plan *p, const struct gguf *g, const struct gguf_tensor *t, enum plan_axis axis)
{
	double n = (double)t->ne[0] * (double)t->ne[1];

	if (is_of_experts(t, axis))
		return n * p->shape.n_expert_used;
	return t->n_dim == 2 && (axis != PLAN_VOCAB || is_head(g, t->name)) ? n : 0;
}

static struct shape shape_of(const struct plan *p, const struct gguf *g)
{
	struct shape s = { .g = g };

	for (size_t i = 0; i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		enum plan_axis axis = p->axis(p, t->name.p, t->name.n);

		s.n_layer += axis == PLAN_HEAD_K || axis == PLAN_HEAD_K_2;
		s.macs += tensor_macs(p, g, t, axis);
	}
	return s;
}

static uint64_t part_of(uint64_t bytes, uint32_t part, uint32_t all)
{
	return bytes / all * part + bytes % all * part / all;
}

/* Bytes of a tensor that a step of one row reads on a node. */
static uint64_t tensor_bytes(const struct plan *p, const struct gguf *g, const struct gguf_tensor *t, uint32_t node)
{
	enum plan_axis axis = p->axis(p, t->name.p, t->name.n);
	const struct plan_sum *sum = plan_sum(p, axis);
	struct plan_range r = sum ? sum->node[node].col : plan_rows(p, axis, node);
	uint64_t bytes = t->bytes;

	if (axis == PLAN_COPY || axis == PLAN_VECTOR)
		return bytes;
	if (axis == PLAN_VOCAB && !is_head(g, t->name))
		return 0;
	if (is_of_experts(t, axis))
		bytes = part_of(bytes, p->shape.n_expert_used, p->shape.n_expert);
	if (axis == PLAN_ROW) {
		r = plan_row_share(p, (uint32_t)t->ne[1], node);
		return part_of(bytes, r.end - r.begin, (uint32_t)t->ne[1]);
	}
	return part_of(bytes, r.end - r.begin, plan_extent(p, axis));
}

/* Bytes of weights that a step of one row reads on a node. */
static uint64_t node_bytes(const struct plan *p, const struct gguf *g, uint32_t node)
{
	uint64_t n = 0;

	for (size_t i = 0; i < gguf_n_tensor(g); i++)
		n += tensor_bytes(p, g, gguf_tensor_at(g, i), node);
	return n;
}

static uint64_t fullest(const struct plan *p, const struct gguf *g)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < p->n_node; i++)
		most = node_bytes(p, g, i) > most ? node_bytes(p, g, i) : most;
	return most;
}

static int rounds(uint32_t n)
{
	int k = 0;

	while (1u << k < n)
		k++;
	return k;
}

/* All exchanges of a step, in us: n_row rows of x. A node fetches 2 (n - 1) / n of their floats from the others (reduce_is_own). */
static double exchange_us(const struct plan *p, const struct shape *s, const struct figures *f, double n_row)
{
	double latency, one_row = bench_reduce_ns(&f->team, p->shape.n_embd, &latency) - latency, n = p->n_node;

	if (n > 2)
		latency += f->team.barrier_ns;
	return n == 1 ? 0
		      : REDUCTIONS * s->n_layer * f->hop_scale *
				(latency * rounds(p->n_node) + n_row * one_row * 2 * (n - 1) / n) * 1e-3;
}

struct prediction {
	uint64_t bytes;
	double read_us, exchange_us, barrier_us, step_us;
};

/* A step of one row. */
static struct prediction predict(const struct plan *p, const struct shape *s, const struct figures *f)
{
	struct prediction r = { .bytes = fullest(p, s->g) };
	double n_round = rounds((uint32_t)f->team.n_worker) + f->hop_scale * rounds(p->n_node);

	r.read_us = (double)r.bytes / f->node_gbps * 1e-3;
	r.exchange_us = exchange_us(p, s, f, 1);
	r.barrier_us = BARRIERS * s->n_layer * f->team.barrier_ns * n_round * 1e-3;
	r.step_us = r.read_us + r.exchange_us + r.barrier_us;
	return r;
}

/* A node's time for so many bytes and multiply-adds: reading or multiplying, whichever is longer. */
static double roof_us(const struct figures *f, double bytes, double macs)
{
	double read = bytes / f->node_gbps * 1e-3, mul = macs / f->node_gmacs * 1e-3;

	return read > mul ? read : mul;
}

/* Tokens per ms of STREAMS streams: divided between the nodes, and dealt out to replicas of the whole model. */
static void throughput(const struct plan *p, const struct shape *s, const struct figures *f,
		       const struct prediction *one, const struct prediction *r, double *divided, double *replicas)
{
	double n = p->n_node, macs = s->macs * STREAMS;

	*divided = STREAMS / (roof_us(f, (double)r->bytes, macs / n) + exchange_us(p, s, f, STREAMS) + r->barrier_us) *
		   1e3;
	*replicas = STREAMS / (roof_us(f, (double)one->bytes, macs / n) + one->barrier_us) * 1e3;
}

/* ---- measuring and printing ---- */

static int measure(struct figures *f, const struct args *a, int n_numa, struct error *e)
{
	static const struct pool none = { .os_node = -1 };
	static struct layout all;
	struct bench_limits limits = { 0 };
	struct team *team = NULL;
	int r = bench_team_measure(&f->team, 2, 2, e);

	if (r == 0)
		r = bench_team(&team, &all, a->n_thread, 1, e);
	if (r == 0)
		r = bench_limits_open(&limits, &none, ISA_MAX, team, TURNS, e);
	for (uint32_t i = 0; r == 0 && i < TURNS; i++)
		bench_limits_turn(&limits);
	if (r == 0)
		bench_limits_roof(&limits, &f->roof);
	bench_limits_close(&limits);
	team_free(team);
	f->node_gbps = f->roof.read_gbps / n_numa;
	f->node_gmacs = f->roof.peak_gmacs / n_numa;
	f->hop_scale = r == 0 && a->hop_ns ? a->hop_ns / f->team.hop_ns : 1;
	return r;
}

static json_t *range_json(struct plan_range r)
{
	return json_pack("[i,i]", (int)r.begin, (int)r.end);
}

/* What a node has of every expert: rows of gate and up. */
static json_t *experts_json(const struct plan *p)
{
	json_t *nodes = json_array();

	for (uint32_t i = 0; i < p->n_node; i++)
		json_array_append_new(nodes, range_json(plan_row_share(p, p->shape.n_ff_expert, i)));
	return json_pack("{s:i,s:i,s:f,s:o}", "experts", (int)p->shape.n_expert, "of_a_token",
			 (int)p->shape.n_expert_used, "balance", plan_balance(p).expert, "nodes", nodes);
}

static json_t *split_json(const struct plan *p, const struct gguf *g)
{
	struct plan_balance b = plan_balance(p);
	json_t *nodes = json_array();

	for (uint32_t i = 0; i < p->n_node; i++) {
		const struct plan_node *v = &p->node[i];

		json_array_append_new(nodes,
				      json_pack("{s:o,s:o,s:o,s:o,s:I}", "heads", range_json(v->head), "kv_heads",
						range_json(v->head_kv), "ff", range_json(v->ff), "vocab",
						range_json(v->vocab), "step_bytes", (json_int_t)node_bytes(p, g, i)));
	}
	return json_pack("{s:i,s:i,s:f,s:f,s:f,s:i,s:o,s:o*}", "head_chunks", (int)p->head.n_chunk, "ff_chunks",
			 (int)p->ff.n_chunk, "head_balance", b.head, "ff_balance", b.ff, "vocab_balance", b.vocab,
			 "copied_kv_heads", (int)b.n_copied, "nodes", nodes, "experts",
			 p->shape.n_expert ? experts_json(p) : NULL);
}

static void print_experts(const struct plan *p)
{
	const struct plan_shape *s = &p->shape;

	printf("experts: %u of %u a token, each of %u columns. Every node has rows of each, so all work alike "
	       "whichever a "
	       "token takes; rows go in panels of 16, so no block is too long for more nodes.\n",
	       s->n_expert_used, s->n_expert, s->n_ff_expert);
	for (uint32_t i = 0; i < p->n_node; i++) {
		struct plan_range ff = plan_row_share(p, s->n_ff_expert, i), embd = plan_row_share(p, s->n_embd, i);

		printf("%4u of each expert: gate and up %u..%u, down %u..%u\n", i, ff.begin, ff.end, embd.begin,
		       embd.end);
	}
	printf("fullest node over the mean: experts %.2f\n", plan_balance(p).expert);
}

static void print_split(const struct plan *p, const struct gguf *g)
{
	struct plan_balance b = plan_balance(p);

	printf("\n%u node%s: %u chunks of the attention's output, %u of the feed-forward\n"
	       "node   query heads   KV heads   feed-forward      vocabulary         weights of a step\n",
	       p->n_node, p->n_node > 1 ? "s" : "", p->head.n_chunk, p->ff.n_chunk);
	for (uint32_t i = 0; i < p->n_node; i++) {
		const struct plan_node *v = &p->node[i];

		printf("%4u %6u..%-6u %4u..%-4u %7u..%-7u %8u..%-8u %10.1f MiB\n", i, v->head.begin, v->head.end,
		       v->head_kv.begin, v->head_kv.end, v->ff.begin, v->ff.end, v->vocab.begin, v->vocab.end,
		       (double)node_bytes(p, g, i) / (1 << 20));
	}
	printf("fullest node over the mean: heads %.2f, feed-forward %.2f, vocabulary %.2f", b.head, b.ff, b.vocab);
	printf(b.n_copied ? "; %u copies of KV heads\n" : "\n", b.n_copied);
	if (p->shape.n_expert)
		print_experts(p);
}

static void print_predictions(const struct plan *plan, const struct prediction *r, const struct shape *s,
			      const struct figures *f, uint32_t n)
{
	double latency, row = bench_reduce_ns(&f->team, plan[0].shape.n_embd, &latency);

	printf("\npredicted from this run, for NUMA nodes like this machine's: %.1f GB/s and %.0f G multiply-adds/s a "
	       "node; "
	       "an exchange of %u floats between two nodes %.2f us (%.2f of it latency), of which a step has %u; a "
	       "barrier "
	       "%.0f ns a round; a line between nodes as between two cores here x %.2f\n"
	       "nodes   fullest reads        read   exchanges   barriers        step   speed-up   16 streams: divided, "
	       "replicas\n",
	       f->node_gbps, f->node_gmacs, plan[0].shape.n_embd, row * 1e-3 * f->hop_scale,
	       latency * 1e-3 * f->hop_scale, REDUCTIONS * s->n_layer, f->team.barrier_ns, f->hop_scale);
	for (uint32_t i = 0; i < n; i++) {
		double divided, replicas;

		throughput(&plan[i], s, f, &r[0], &r[i], &divided, &replicas);
		printf("%5u %12.1f MiB %8.0f us %8.1f us %7.1f us %8.0f us %8.2f x %14.2f %10.2f a ms\n",
		       plan[i].n_node, (double)r[i].bytes / (1 << 20), r[i].read_us, r[i].exchange_us, r[i].barrier_us,
		       r[i].step_us, r[0].step_us / r[i].step_us, divided, replicas);
	}
	puts("--nodes is the choice where one stream shall be fast or memory is short; --replicas where its column "
	     "wins and each "
	     "node has room for the whole model.");
}

static json_t *predictions_json(const struct plan *plan, const struct prediction *r, const struct shape *s,
				const struct figures *f, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++) {
		double divided, replicas;

		throughput(&plan[i], s, f, &r[0], &r[i], &divided, &replicas);
		json_array_append_new(list,
				      json_pack("{s:i,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "nodes", (int)plan[i].n_node,
						"bytes", (json_int_t)r[i].bytes, "read_us", r[i].read_us, "exchange_us",
						r[i].exchange_us, "barrier_us", r[i].barrier_us, "step_us",
						r[i].step_us, "speed_up", r[0].step_us / r[i].step_us,
						"streams_divided", divided, "streams_replicas", replicas));
	}
	return list;
}

static int plan_file(const struct args *a, struct gguf *g, const struct layout *l, int n_numa, struct error *e)
{
	static struct figures f;
	struct plan split, plan[PREDICTIONS];
	struct prediction r[PREDICTIONS];
	struct shape s;
	uint32_t n = 0;
	int code = model_plan(&split, g, (uint32_t)l->n_node, e);

	if (code < 0)
		return code;
	code = measure(&f, a, n_numa, e);
	if (code < 0 && code != -ENODEV)
		return code;
	s = shape_of(&split, g);
	for (; code == 0 && n < PREDICTIONS && model_plan(&plan[n], g, 1u << n, e) == 0; n++)
		r[n] = predict(&plan[n], &s, &f);
	if (a->json)
		return print_json(json_pack("{s:o,s:f,s:f,s:f,s:o}", "split", split_json(&split, g), "node_gbps",
					    f.node_gbps, "hop_ns", f.team.hop_ns * f.hop_scale, "barrier_ns",
					    f.team.barrier_ns, "predictions", predictions_json(plan, r, &s, &f, n)));
	print_split(&split, g);
	if (code == 0)
		print_predictions(plan, r, &s, &f, n);
	else
		printf("\nno prediction: %s\n", e->text); /* the division needs no figures */
	return TOOL_OK;
}

int plan_model(const struct args *a, const struct layout *l, int n_numa)
{
	struct error e = { "" };
	struct gguf *g = NULL;
	int r = gguf_open(&g, a->model, &e);

	if (r == 0)
		r = plan_file(a, g, l, n_numa, &e);
	gguf_close(g);
	return r < 0 ? fail(TOOL_FAILED, "%s", e.text) : r;
}
