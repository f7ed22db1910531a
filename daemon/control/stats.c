#include "daemon/control/stats.h"
#include "daemon/control/rows.h"
#include "daemon/util/counter.h"
#include "daemon/util/profile.h"
#include "shm/atomic.h"

#include <stdarg.h>
#include <stdio.h>

struct writer {
	char *text;
	size_t n, size;
};

static __attribute__((format(printf, 2, 3))) void put(struct writer *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->text + w->n, w->size - w->n, fmt, ap);
	va_end(ap);
	w->n += (size_t)n < w->size - w->n ? (size_t)n : w->size - w->n - 1;
}

static void put_counter(struct writer *w, const char *name, const uint64_t *counter)
{
	put(w, "\"%s\":%llu,", name, (unsigned long long)counter_read(counter));
}

/* Those that are ready, with their engines. The control thread alone has them leave. */
#define FOR_EACH_ENGINE(e, r)                                                            \
	for (const struct served *s_ = (r)->served; s_ < (r)->served + SERVED_MAX; s_++) \
		for (const struct engine *e = s_->engine; served_is_ready(s_) && e < s_->engine + s_->n_engine; e++)

/* A counter of each engine's, summed. */
#define PUT_SUM(w, name, r, field)                                      \
	do {                                                            \
		uint64_t sum_ = 0;                                      \
		FOR_EACH_ENGINE(e_, r)                                  \
		sum_ += counter_read(&e_->field);                       \
		put(w, "\"%s\":%llu,", name, (unsigned long long)sum_); \
	} while (0)

/* What was expected of the steps with guesses and whose time could be foretold, and what came of them. */
static void put_tally(struct writer *w, const struct registry *r)
{
	uint64_t millitoken = 0;

	PUT_SUM(w, "draft_steps", r, spec.tally.n_step);
	PUT_SUM(w, "draft_step_tokens", r, spec.tally.n_token);
	FOR_EACH_ENGINE(e, r)
	millitoken += counter_read(&e->spec.tally.expected_millitoken);
	put(w, "\"draft_step_tokens_expected\":%.3f,", (double)millitoken * 1e-3);
	PUT_SUM(w, "draft_step_tokens_without", r, spec.tally.plain_token);
	PUT_SUM(w, "draft_step_ns", r, spec.tally.ns);
	PUT_SUM(w, "draft_step_ns_expected", r, spec.tally.expected_ns);
	PUT_SUM(w, "draft_step_ns_without", r, spec.tally.plain_ns);
}

static void put_drafts(struct writer *w, const struct registry *r)
{
	uint64_t n_guessed = 0, n_hit = 0;

	FOR_EACH_ENGINE(e, r)
	{
		n_guessed += spec_n_guessed(&e->spec);
		n_hit += spec_n_hit(&e->spec);
	}
	put(w, "\"draft_guessed\":%llu,\"draft_hits\":%llu,", (unsigned long long)n_guessed, (unsigned long long)n_hit);
	put_tally(w, r);
}

/* Where the leaders' time went since the start, in ns, and what each worker waited at barriers. Parts are called as the first model's. */
static void put_steps(struct writer *w, const struct registry *r)
{
	struct profile_sum sum = { 0 }, one;
	const struct engine *first = NULL;
	const char *comma = "";

	FOR_EACH_ENGINE(e, r)
	{
		first = first ? first : e;
		profile_read(team_profile(e->team, 0), &one);
		profile_add_sum(&sum, &one);
	}
	put(w, "\"step\":{\"layers\":%u,\"passes\":%llu,\"rows\":%llu,\"barriers\":%llu,\"ns\":{",
	    first ? model_hparams(first->model)->n_layer : 0, (unsigned long long)sum.n[PROFILE_HEAD],
	    (unsigned long long)sum.n_row, (unsigned long long)sum.n[PROFILE_BARRIER]);
	for (int i = 0; first && i < PROFILE_PART_MAX; i++) {
		const char *name = profile_part_name((enum profile_part)i, model_laps(first->model));

		if (name)
			put(w, "%s\"%s\":%.0f", i ? "," : "", name, sum.ns[i]);
	}
	put(w, "},\"barrier_ns\":[");
	FOR_EACH_ENGINE(e, r)
	for (int k = 0; k < team_size(e->team); k++, comma = ",") {
		profile_read(team_profile(e->team, k), &one);
		put(w, "%s%.0f", comma, one.ns[PROFILE_BARRIER]);
	}
	put(w, "]},");
}

/* What the prefix cache alone holds is as good as free. */
static uint32_t free_blocks(const struct engine *e)
{
	return counter_read32(&e->kv.book->n_free) + counter_read32(&e->prefix.n_idle);
}

static uint32_t free_slots(const struct engine *e)
{
	return counter_read32(&e->kv.book->n_slot_free) + counter_read32(&e->prefix.n_slot);
}

/* Each engine's share: how even they are. */
static void put_replicas(struct writer *w, const struct registry *r, const struct intake *i,
			 const struct health_all *health)
{
	const char *comma = "";

	put(w, "\"replicas\":[");
	FOR_EACH_ENGINE(e, r)
	{
		const struct health *h = &health->engine[e->queue - i->queue];

		put(w,
		    "%s{\"model\":\"%s\",\"threads\":%d,\"live\":%u,\"kept\":%u,\"pinned_positions\":%u,\"load\":%llu,"
		    "\"tokens_generated\":%llu,"
		    "\"kv_blocks_free\":%u,\"kv_slots_free\":%u,\"gap_us\":%llu,\"stalled_ms\":%llu,\"stalls\":%llu}",
		    comma, s_->name, e->layout.n_worker, counter_read32(&e->queue->n_live),
		    counter_read32(&e->queue->n_kept), load_relaxed(&e->queue->n_pinned),
		    (unsigned long long)queue_load(e->queue), (unsigned long long)counter_read(&e->emit.n_token),
		    free_blocks(e), free_slots(e), (unsigned long long)counter_read(&e->sched.gap_told_ns) / 1000,
		    (unsigned long long)h->stalled_ms, (unsigned long long)h->n_stall);
		comma = ",";
	}
	put(w, "]");
}

static void put_kv(struct writer *w, const struct registry *r)
{
	uint64_t n = 0, n_free = 0, n_slot = 0, n_slot_free = 0, n_cached = 0;

	FOR_EACH_ENGINE(e, r)
	{
		n += e->kv.book->n_block;
		n_free += free_blocks(e);
		n_slot += e->kv.book->n_slot;
		n_slot_free += free_slots(e);
		n_cached += counter_read32(&e->prefix.n_block);
	}
	put(w, "\"kv_blocks_cached\":%llu,", (unsigned long long)n_cached);
	put(w, "\"kv_blocks\":%llu,\"kv_blocks_free\":%llu,\"kv_slots\":%llu,\"kv_slots_free\":%llu,",
	    (unsigned long long)n, (unsigned long long)n_free, (unsigned long long)n_slot,
	    (unsigned long long)n_slot_free);
}

size_t stats_write(const struct control_parts *p, const struct health_all *health, const struct connections *c,
		   char *text, size_t n)
{
	const struct intake *i = p->intake;
	const struct registry *r = p->models;
	struct writer w = { text, 0, n };

	put(&w, "{\"version\":\"%s\",\"isa\":\"%s\",\"threads\":%u,\"n_ctx\":%u,", GYRE_VERSION, p->isa, p->n_thread,
	    r->served[0].geometry.n_ctx);
	put(&w, "\"sessions\":%u,\"live\":%u,", counter_read32(&i->roster.n_session), registry_count_live(r));
	put_counter(&w, "requests", &i->take.n_request);
	put_counter(&w, "refused", &i->take.n_refused);
	PUT_SUM(&w, "steps", r, queue->n_step);
	PUT_SUM(&w, "parks", r, queue->n_park);
	PUT_SUM(&w, "tokens_prompt", r, sched.n_token_prompt);
	PUT_SUM(&w, "tokens_looked_up", r, sched.n_cache_query);
	PUT_SUM(&w, "tokens_cached", r, sched.n_cache_hit);
	PUT_SUM(&w, "tokens_generated", r, emit.n_token);
	PUT_SUM(&w, "preempted", r, sched.n_preempted);
	put_drafts(&w, r);
	put_steps(&w, r);
	put_kv(&w, r);
	put_replicas(&w, r, i, health);
	if (c) {
		put(&w, ",");
		w.n += rows_write(c, w.text + w.n, w.size - w.n - 2);
	}
	put(&w, "}\n");
	return w.n;
}

/* A name is anybody's who may write the configuration: quotes and backslashes are spelled. */
static void put_text(struct writer *w, const char *name, const char *text)
{
	put(w, "\"%s\":\"", name);
	for (; *text; text++)
		put(w, (unsigned char)*text < ' ' ? "\\u%04x" : *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	put(w, "\",");
}

static uint64_t count_bytes(const struct served *s, uint64_t *kv)
{
	uint64_t n = 0;

	*kv = 0;
	for (uint32_t i = 0; i < s->n_engine; i++) {
		const struct engine *e = &s->engine[i];
		bool is_shared = false;

		for (uint32_t k = 0; k < i; k++)
			is_shared |= s->weights[k] == s->weights[i];
		n += is_shared ? 0 : s->weights[i]->n_bytes;
		*kv += e->kv.book->n_block * (uint64_t)model_kv_bytes(e->model) +
		       e->kv.book->n_slot * (uint64_t)model_slot_bytes(e->model);
	}
	return n;
}

size_t stats_write_models(const struct control_parts *p, uint64_t now_ns, char *text, size_t n)
{
	const struct registry *r = p->models;
	struct writer w = { text, 0, n };
	const char *comma = "";

	put(&w, "[");
	for (uint32_t i = 0; i < SERVED_MAX; i++) {
		const struct served *s = &r->served[i];
		uint32_t state = load_relaxed(&s->state);
		bool is_open = served_is_ready(s);
		uint64_t kv = 0, bytes = is_open ? count_bytes(s, &kv) : 0;

		if (state == SERVED_NONE)
			continue;
		put(&w, "%s{", comma);
		comma = ",";
		put_text(&w, "name", s->name);
		put_text(&w, "state", served_state_name((enum served_state)state));
		put_text(&w, "title", state == SERVED_LOADING ? "" : s->title);
		put_text(&w, "file", r->model[i].file);
		if (state == SERVED_FAILED)
			put_text(&w, "why", s->why.text);
		put(&w,
		    "\"n_ctx\":%u,\"bytes\":%llu,\"kv_bytes\":%llu,\"live\":%u,\"requests\":%llu,\"idle_seconds\":%u,"
		    "\"unused_ms\":%llu}",
		    state == SERVED_LOADING ? 0 : s->geometry.n_ctx, (unsigned long long)bytes, (unsigned long long)kv,
		    is_open ? counter_read32(&s->pool.n_live) : 0, (unsigned long long)counter_read(&s->n_request),
		    r->model[i].idle_seconds,
		    (unsigned long long)(r->used_ns[i] ? (now_ns - r->used_ns[i]) / 1000000 : 0));
	}
	put(&w, "]\n");
	return w.n;
}
