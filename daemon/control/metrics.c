#include "daemon/control/metrics.h"
#include "daemon/engine/reads.h"
#include "daemon/util/counter.h"
#include "daemon/util/writer.h"
#include "shm/atomic.h"

#include <math.h>
#include <stdio.h>

struct metrics {
	struct writer w;
	const struct metrics_source *from;
};

static void put_head(struct metrics *m, const char *name, const char *type, const char *help)
{
	writer_put(&m->w, "# HELP gyre_%s %s\n# TYPE gyre_%s %s\n", name, help, name, type);
}

/* "gyre_NAME{model_name="…",LABEL="…"} ": the value follows. label NULL: none. */
static void put_name(struct metrics *m, const char *name, const struct served *s, const char *label, const char *value)
{
	writer_put(&m->w, "gyre_%s{model_name=\"", name);
	writer_put_quoted(&m->w, s->name);
	if (label)
		writer_put(&m->w, "\",%s=\"%s", label, value);
	writer_put(&m->w, "\"} ");
}

static void put_count(struct metrics *m, uint64_t n)
{
	writer_put(&m->w, "%llu\n", (unsigned long long)n);
}

/*
 * The next model behind s, NULL: the first, that has been served and is not just being loaded. One that sleeps keeps what has been counted;
 * the control thread alone has models leave or come.
 */
static const struct served *next_served(const struct metrics *m, const struct served *s)
{
	const struct served *all = m->from->parts->models->served;

	for (s = s ? s + 1 : all; s < all + SERVED_MAX; s++) {
		uint32_t state = load_relaxed(&s->state);

		if (s->n_engine && (served_is_open(s) || state == SERVED_ASLEEP || state == SERVED_OFF))
			return s;
	}
	return NULL;
}

/* ---- a figure of each model ---- */

static uint32_t n_known(const struct queue *q)
{
	return counter_read32(&q->n_live) - counter_read32(&q->n_kept) + load_relaxed(&q->n_inbox);
}

static double running(const struct engine *e)
{
	return counter_read32(&e->queue->n_running);
}

static double waiting(const struct engine *e)
{
	uint32_t n = n_known(e->queue), n_running = counter_read32(&e->queue->n_running);

	return n > n_running ? n - n_running : 0;
}

static double prompt_tokens(const struct engine *e)
{
	return (double)counter_read(&e->queue->meter.n_prompt);
}

static double generated_tokens(const struct engine *e)
{
	return (double)counter_read(&e->queue->meter.n_generated);
}

static double prompt_rows(const struct engine *e)
{
	return (double)counter_read(&e->sched.n_token_prompt);
}

static double preempted(const struct engine *e)
{
	return (double)counter_read(&e->sched.n_preempted);
}

static double late(const struct engine *e)
{
	return (double)counter_read(&e->queue->meter.n_end[METER_DEADLINE]);
}

static double drafted(const struct engine *e)
{
	return (double)spec_n_guessed(&e->spec);
}

static double accepted(const struct engine *e)
{
	return (double)spec_n_hit(&e->spec);
}

static double dropped(const struct engine *e)
{
	return (double)counter_read(&e->queue->meter.events.n_dropped);
}

static double looked_up(const struct engine *e)
{
	return (double)counter_read(&e->sched.n_cache_query);
}

static double found(const struct engine *e)
{
	return (double)counter_read(&e->sched.n_cache_hit);
}

static double given_up(const struct engine *e)
{
	return (double)counter_read(&e->prefix.n_evicted);
}

static double pieces_blocks(const struct engine *e)
{
	return counter_read32(&e->prefix.n_block);
}

static double idle_blocks(const struct engine *e)
{
	return counter_read32(&e->prefix.n_idle);
}

static double pieces_states(const struct engine *e)
{
	return counter_read32(&e->prefix.n_slot);
}

/* Summed over the engines of a model. */
static const struct {
	const char *name, *type, *help;
	double (*of)(const struct engine *e);
} scalars[] = {
	{ "num_requests_running", "gauge", "Requests that have rows in the step that runs.", running },
	{ "num_requests_waiting", "gauge", "Requests that have none: for want of blocks, rows or room for answers.",
	  waiting },
	{ "prefix_cache_queries_total", "counter", "Tokens of prompts that were looked up in the prefix cache.",
	  looked_up },
	{ "prefix_cache_hits_total", "counter", "Of these, those that were found there.", found },
	{ "prefix_cache_evictions_total", "counter", "Blocks and states that the prefix cache gave up.", given_up },
	{ "prefix_cache_blocks", "gauge", "KV blocks that the prefix cache knows.", pieces_blocks },
	{ "prefix_cache_idle_blocks", "gauge", "Of these, those that no request holds: they are as good as free.",
	  idle_blocks },
	{ "prefix_cache_states", "gauge", "Recurrent states that it keeps.", pieces_states },
	{ "prompt_tokens_total", "counter", "Tokens of prompts that have been read to their end.", prompt_tokens },
	{ "generation_tokens_total", "counter", "Tokens that clients were given.", generated_tokens },
	{ "prompt_rows_total", "counter", "Positions of prompts that were computed, again after a preemption, too.",
	  prompt_rows },
	{ "num_preemptions_total", "counter", "KV blocks taken back from requests, which compute them again.",
	  preempted },
	{ "deadline_missed_total", "counter", "Requests that ended because their deadline had passed.", late },
	{ "draft_tokens_total", "counter", "Tokens guessed ahead.", drafted },
	{ "draft_accepted_tokens_total", "counter", "Of these, tokens that were right.", accepted },
	{ "events_dropped_total", "counter", "Records for the journal that there was no room for.", dropped },
};

static void put_scalar(struct metrics *m, size_t i, const struct served *s)
{
	double sum = 0;

	for (uint32_t k = 0; k < s->n_engine; k++)
		sum += scalars[i].of(&s->engine[k]);
	put_name(m, scalars[i].name, s, NULL, NULL);
	writer_put(&m->w, "%.0f\n", sum);
}

static void put_scalars(struct metrics *m)
{
	for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
		put_head(m, scalars[i].name, scalars[i].type, scalars[i].help);
		for (const struct served *s = NULL; (s = next_served(m, s));)
			put_scalar(m, i, s);
	}
}

/* None is held of a model that sleeps. */
static double kv_used(const struct served *s, bool is_slot)
{
	uint64_t n = 0, n_free = 0;

	for (uint32_t i = 0; served_is_open(s) && i < s->n_engine; i++) {
		const struct kv_book *k = s->engine[i].kv.book;

		n += is_slot ? k->n_slot : k->n_block;
		n_free += counter_read32(is_slot ? &k->n_slot_free : &k->n_free);
		n_free += counter_read32(is_slot ? &s->engine[i].prefix.n_slot : &s->engine[i].prefix.n_idle);
	}
	return n ? (double)(n - n_free) / (double)n : 0;
}

static void put_used(struct metrics *m, const char *name, const char *help, bool is_slot)
{
	put_head(m, name, "gauge", help);
	for (const struct served *s = NULL; (s = next_served(m, s));) {
		put_name(m, name, s, NULL, NULL);
		writer_put(&m->w, "%.6g\n", kv_used(s, is_slot));
	}
}

static void put_states(struct metrics *m)
{
	put_used(m, "kv_cache_usage_perc", "Share of the KV blocks that requests hold, 0 to 1.", false);
	put_used(m, "kv_slot_usage_perc", "Likewise of the slots for recurrent states; 0 if the model has none.", true);
	put_head(m, "model_loaded", "gauge", "1: the model is in memory.");
	for (const struct served *s = NULL; (s = next_served(m, s));) {
		put_name(m, "model_loaded", s, NULL, NULL);
		put_count(m, served_is_open(s));
	}
}

/* ---- by a label ---- */

static void put_ends(struct metrics *m)
{
	const char *name = "request_success_total";

	put_head(m, name, "counter", "Requests that have ended, by how, failures too.");
	for (const struct served *s = NULL; (s = next_served(m, s));)
		for (int r = 0; r < METER_REASON_MAX; r++) {
			uint64_t sum = 0;

			for (uint32_t i = 0; i < s->n_engine; i++)
				sum += counter_read(&s->queue[i]->meter.n_end[r]);
			put_name(m, name, s, "finished_reason", meter_reason_name((enum meter_reason)r));
			put_count(m, sum);
		}
}

static void put_cancelled(struct metrics *m)
{
	static const char *const by[METER_CANCELLED_MAX] = { "client", "disconnect" };
	const char *name = "cancelled_total";

	put_head(m, name, "counter",
		 "Requests that ended without their result, by a CANCEL or because their client had gone.");
	for (const struct served *s = NULL; (s = next_served(m, s));)
		for (int r = 0; r < METER_CANCELLED_MAX; r++) {
			uint64_t sum = 0;

			for (uint32_t i = 0; i < s->n_engine; i++)
				sum += counter_read(&s->queue[i]->meter.n_cancelled[r]);
			put_name(m, name, s, "reason", by[r]);
			put_count(m, sum);
		}
}

static void put_health(struct metrics *m, const char *name, bool is_total)
{
	const struct queue *first = m->from->parts->intake->queue;
	char number[16];

	for (const struct served *s = NULL; (s = next_served(m, s));)
		for (uint32_t i = 0; i < s->n_engine; i++) {
			const struct health *h = &m->from->health->engine[s->queue[i] - first];

			snprintf(number, sizeof(number), "%u", i);
			put_name(m, name, s, "engine", number);
			put_count(m, is_total ? h->n_stall : h->is_stalled);
		}
}

static void put_engines(struct metrics *m)
{
	put_head(m, "engine_stalled", "gauge", "1: it has requests and makes no progress.");
	put_health(m, "engine_stalled", false);
	put_head(m, "engine_stalls_total", "counter", "How often that was.");
	put_health(m, "engine_stalls_total", true);
}

/* Of the kernel's nodes; of one that is bound to none, -1. Two virtual nodes of an engine may be the same. false: it is none of its. */
static bool sum_node(const struct served *s, int os_node, uint64_t *sum)
{
	bool is_there = false;

	*sum = 0;
	for (uint32_t i = 0; i < s->n_engine; i++)
		for (int k = 0; k < s->engine[i].layout.n_node; k++)
			if (s->engine[i].layout.node[k].os_node == os_node) {
				is_there = true;
				*sum += reads_n_pass(&s->engine[i]) * reads_of_pass(s->weights[i], (uint32_t)k);
			}
	return is_there;
}

static int last_node(const struct served *s)
{
	int last = -1;

	for (uint32_t i = 0; i < s->n_engine; i++)
		for (int k = 0; k < s->engine[i].layout.n_node; k++)
			last = s->engine[i].layout.node[k].os_node > last ? s->engine[i].layout.node[k].os_node : last;
	return last;
}

/* Of models in memory: what is not there is not read. */
static void put_reads(struct metrics *m)
{
	char number[16];
	uint64_t sum;

	put_head(m, "node_read_bytes_total", "counter",
		 "Weights that forward passes read from a NUMA node's memory; node -1: bound to none.");
	for (const struct served *s = NULL; (s = next_served(m, s));)
		for (int node = -1; served_is_open(s) && node <= last_node(s); node++) {
			if (!sum_node(s, node, &sum))
				continue;
			snprintf(number, sizeof(number), "%d", node);
			put_name(m, "node_read_bytes_total", s, "node", number);
			put_count(m, sum);
		}
}

/* ---- distributions ---- */

static const struct {
	const char *name, *help;
} figures[METER_FIGURE_MAX] = {
	[METER_FIRST_TOKEN] = { "time_to_first_token_seconds", "From a request's arrival to its first token." },
	[METER_INTER_TOKEN] = { "inter_token_latency_seconds",
				"Between a token and the one before it; 0: of the same step." },
	[METER_DECODE_GAP] = { "decode_gap_seconds", "Between two steps that a stream had tokens of." },
	[METER_WHOLE] = { "e2e_request_latency_seconds", "From a request's arrival to its end." },
	[METER_QUEUE] = { "request_queue_time_seconds", "From a request's arrival to its first rows." },
	[METER_PREFILL] = { "request_prefill_time_seconds", "From a request's first rows to its first token." },
	[METER_DECODE] = { "request_decode_time_seconds", "From a request's first token to its last." },
	[METER_STEP] = { "step_seconds", "Duration of a step: from its rows to its tokens." },
	[METER_PROMPT_TOKENS] = { "request_prompt_tokens", "Tokens of the prompts of requests that have ended." },
	[METER_GENERATED_TOKENS] = { "request_generation_tokens", "Tokens generated by requests that have ended." },
};

/* Buckets add up; the count is their last, so that the two agree whatever is written meanwhile. */
static void put_histogram(struct metrics *m, enum meter_figure f, const struct served *s)
{
	const struct meter_scale *scale = meter_scale_of(f);
	double unit = scale->is_time ? 1e-9 : 1, sum = 0;
	uint64_t n = 0;
	char name[64], le[32];

	snprintf(name, sizeof(name), "%s_bucket", figures[f].name);
	for (uint32_t i = 0; i <= scale->n; i++) {
		for (uint32_t k = 0; k < s->n_engine; k++)
			n += counter_read(&s->queue[k]->meter.figure[f].n[i]);
		snprintf(le, sizeof(le), "%.10g", i < scale->n ? (double)scale->bound[i] * unit : 0);
		put_name(m, name, s, "le", i < scale->n ? le : "+Inf");
		put_count(m, n);
	}
	for (uint32_t k = 0; k < s->n_engine; k++)
		sum += (double)counter_read(&s->queue[k]->meter.figure[f].sum) * unit;
	snprintf(name, sizeof(name), "%s_sum", figures[f].name);
	put_name(m, name, s, NULL, NULL);
	writer_put(&m->w, "%.12g\n", sum);
	snprintf(name, sizeof(name), "%s_count", figures[f].name);
	put_name(m, name, s, NULL, NULL);
	put_count(m, n);
}

static void put_histograms(struct metrics *m)
{
	for (int f = 0; f < METER_FIGURE_MAX; f++) {
		put_head(m, figures[f].name, "histogram", figures[f].help);
		for (const struct served *s = NULL; (s = next_served(m, s));)
			put_histogram(m, (enum meter_figure)f, s);
	}
}

/* ---- the daemon's ---- */

static void put_intake(struct metrics *m)
{
	const struct intake *i = m->from->parts->intake;

	put_head(m, "sessions", "gauge", "Sessions of clients.");
	writer_put(&m->w, "gyre_sessions %u\n", counter_read32(&i->roster.n_session));
	put_head(m, "ring_depth", "gauge", "Entries that clients have submitted and nobody has taken.");
	writer_put(&m->w, "gyre_ring_depth %llu\n", (unsigned long long)connections_unread(m->from->connections));
	put_head(m, "requests_total", "counter", "Entries that requests were made of, of every operation.");
	writer_put(&m->w, "gyre_requests_total %llu\n", (unsigned long long)counter_read(&i->take.n_request));
	put_head(m, "refused_total", "counter", "Entries that no request was made of, by why.");
	for (int r = 0; r < METER_REFUSAL_MAX; r++)
		writer_put(&m->w, "gyre_refused_total{reason=\"%s\"} %llu\n", meter_refusal_name((enum meter_refusal)r),
			   (unsigned long long)counter_read(&i->take.refusal[r]));
}

static void put_build(struct metrics *m)
{
	put_head(m, "build_info", "gauge", "Version of gyred, of the bytes it shares, and the kernels that it runs.");
	writer_put(&m->w, "gyre_build_info{version=\"%s\",abi=\"%u\",isa=\"%s\"} 1\n", GYRE_VERSION, GYRE_ABI_VERSION,
		   m->from->parts->isa);
}

static void put_own(struct metrics *m, const char *name, const char *type, const char *help, double value)
{
	if (!isnan(value))
		writer_put(&m->w, "# HELP process_%s %s\n# TYPE process_%s %s\nprocess_%s %.15g\n", name, help, name,
			   type, name, value);
}

static void put_process(struct metrics *m)
{
	struct process_figures f;

	process_read(m->from->process, &f);
	put_own(m, "resident_memory_bytes", "gauge", "Memory that is present, in bytes.", f.resident_bytes);
	put_own(m, "virtual_memory_bytes", "gauge", "Addresses in use, in bytes.", f.virtual_bytes);
	put_own(m, "cpu_seconds_total", "counter", "CPU time of all threads.", f.cpu_s);
	put_own(m, "open_fds", "gauge", "Open descriptors.", f.n_fd);
	put_own(m, "max_fds", "gauge", "How many there may be.", f.n_fd_max);
	put_own(m, "start_time_seconds", "gauge", "When it was started, in seconds since 1970.", f.start_s);
}

size_t metrics_write(const struct metrics_source *from, char *text, size_t n)
{
	struct metrics m = { .w = { .text = text, .size = n }, .from = from };

	put_build(&m);
	put_process(&m);
	put_intake(&m);
	put_scalars(&m);
	put_states(&m);
	put_ends(&m);
	put_cancelled(&m);
	put_engines(&m);
	put_reads(&m);
	put_histograms(&m);
	while (m.w.is_cut && m.w.n && text[m.w.n - 1] != '\n')
		m.w.n--;
	return m.w.n;
}
