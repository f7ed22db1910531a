#include "daemon/control/stats.h"
#include "daemon/util/counter.h"
#include "daemon/util/profile.h"

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

/* A counter of each engine's, summed. */
#define PUT_SUM(w, name, s, field)                                      \
	do {                                                            \
		uint64_t sum_ = 0;                                      \
		for (uint32_t i_ = 0; i_ < (s)->n_engine; i_++)         \
			sum_ += counter_read(&(s)->engine[i_].field);   \
		put(w, "\"%s\":%llu,", name, (unsigned long long)sum_); \
	} while (0)

/* Where the leaders' time went since the start, in ns, and what each worker waited at barriers. */
static void put_steps(struct writer *w, const struct served *s)
{
	struct profile_sum sum = { 0 }, one;
	const char *comma = "";

	for (uint32_t i = 0; i < s->n_engine; i++) {
		profile_read(team_profile(s->engine[i].team, 0), &one);
		profile_add_sum(&sum, &one);
	}
	put(w, "\"step\":{\"layers\":%u,\"passes\":%llu,\"rows\":%llu,\"barriers\":%llu,\"ns\":{",
	    model_hparams(s->engine[0].model)->n_layer, (unsigned long long)sum.n[PROFILE_HEAD],
	    (unsigned long long)sum.n_row, (unsigned long long)sum.n[PROFILE_BARRIER]);
	for (int i = 0; i < PROFILE_PART_MAX; i++) {
		const char *name = profile_part_name((enum profile_part)i, model_laps(s->engine[0].model));

		if (name)
			put(w, "%s\"%s\":%.0f", i ? "," : "", name, sum.ns[i]);
	}
	put(w, "},\"barrier_ns\":[");
	for (uint32_t i = 0; i < s->n_engine; i++)
		for (int k = 0; k < team_size(s->engine[i].team); k++, comma = ",") {
			profile_read(team_profile(s->engine[i].team, k), &one);
			put(w, "%s%.0f", comma, one.ns[PROFILE_BARRIER]);
		}
	put(w, "]},");
}

/* Each engine's share: how even they are. */
static void put_replicas(struct writer *w, const struct served *s, const struct health_all *health)
{
	put(w, "\"replicas\":[");
	for (uint32_t i = 0; i < s->n_engine; i++) {
		const struct engine *e = &s->engine[i];

		put(w,
		    "%s{\"threads\":%d,\"live\":%u,\"load\":%llu,\"tokens_generated\":%llu,\"kv_blocks_free\":%u,"
		    "\"stalled_ms\":%llu,\"stalls\":%llu}",
		    i ? "," : "", e->layout.n_worker, counter_read32(&e->queue.n_live),
		    (unsigned long long)queue_load(&e->queue), (unsigned long long)counter_read(&e->emit.n_token),
		    counter_read32(&e->kv.book->n_free), (unsigned long long)health->engine[i].stalled_ms,
		    (unsigned long long)health->engine[i].n_stall);
	}
	put(w, "]");
}

static void put_kv(struct writer *w, const struct served *s)
{
	uint64_t n = 0, n_free = 0;

	for (uint32_t i = 0; i < s->n_engine; i++) {
		n += s->engine[i].kv.book->n_block;
		n_free += counter_read32(&s->engine[i].kv.book->n_free);
	}
	put(w, "\"kv_blocks\":%llu,\"kv_blocks_free\":%llu,", (unsigned long long)n, (unsigned long long)n_free);
}

size_t stats_write(const struct control_parts *p, const struct health_all *health, char *text, size_t n)
{
	const struct intake *i = p->intake;
	const struct served *s = p->served;
	struct writer w = { text, 0, n };

	put(&w, "{\"version\":\"%s\",\"isa\":\"%s\",\"threads\":%u,\"n_ctx\":%u,", GYRE_VERSION, p->isa, p->n_thread,
	    s->geometry.n_ctx);
	put(&w, "\"sessions\":%u,\"live\":%u,", counter_read32(&i->roster.n_session), counter_read32(&i->pool.n_live));
	put_counter(&w, "requests", &i->take.n_request);
	put_counter(&w, "refused", &i->take.n_refused);
	PUT_SUM(&w, "steps", s, queue.n_step);
	PUT_SUM(&w, "parks", s, queue.n_park);
	PUT_SUM(&w, "tokens_prompt", s, sched.n_token_prompt);
	PUT_SUM(&w, "tokens_generated", s, emit.n_token);
	PUT_SUM(&w, "preempted", s, sched.n_preempted);
	PUT_SUM(&w, "draft_guessed", s, spec.n_guessed);
	PUT_SUM(&w, "draft_hits", s, spec.n_hit);
	put_steps(&w, s);
	put_kv(&w, s);
	put_replicas(&w, s, health);
	put(&w, "}\n");
	return w.n;
}
