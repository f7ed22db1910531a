#include "daemon/stats.h"
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

/* Where the leader's time went since the start, in ns, and what each worker waited at barriers. */
static void put_steps(struct writer *w, const struct engine *e)
{
	struct profile_sum sum;

	profile_read(team_profile(e->team, 0), &sum);
	put(w, "\"step\":{\"layers\":%u,\"passes\":%llu,\"rows\":%llu,\"barriers\":%llu,\"ns\":{",
	    model_hparams(e->model)->n_layer, (unsigned long long)sum.n[PROFILE_HEAD], (unsigned long long)sum.n_row,
	    (unsigned long long)sum.n[PROFILE_BARRIER]);
	for (int i = 0; i < PROFILE_PART_MAX; i++)
		put(w, "%s\"%s\":%.0f", i ? "," : "", profile_part_name((enum profile_part)i), sum.ns[i]);
	put(w, "},\"barrier_ns\":[");
	for (int i = 0; i < team_size(e->team); i++) {
		profile_read(team_profile(e->team, i), &sum);
		put(w, "%s%.0f", i ? "," : "", sum.ns[PROFILE_BARRIER]);
	}
	put(w, "]},");
}

size_t stats_write(const struct daemon *d, char *text, size_t n)
{
	const struct engine *e = &d->engine[0];
	const struct intake_stats *s = &d->intake.stats;
	struct writer w = { text, 0, n };

	put(&w, "{\"version\":\"%s\",\"isa\":\"%s\",\"threads\":%u,\"n_ctx\":%u,", GYRE_VERSION, d->kernels.isa,
	    (uint32_t)d->layout.n_worker, d->engine[0].n_ctx);
	put_counter(&w, "sessions", &s->n_session);
	put(&w, "\"live\":%u,", counter_read32(&e->queue.n_live));
	put_counter(&w, "requests", &s->n_request);
	put_counter(&w, "refused", &s->n_refused);
	put_counter(&w, "steps", &s->n_step);
	put_counter(&w, "parks", &s->n_park);
	put_counter(&w, "tokens_prompt", &e->sched.n_token_prompt);
	put_counter(&w, "tokens_generated", &e->emit.n_token);
	put_counter(&w, "preempted", &e->sched.n_preempted);
	put_counter(&w, "draft_guessed", &e->spec.n_guessed);
	put_counter(&w, "draft_hits", &e->sample.n_draft_hit);
	put_steps(&w, e);
	put(&w, "\"kv_blocks\":%u,\"kv_blocks_free\":%u}\n", e->kv.n_block, counter_read32(&e->kv.n_free));
	return w.n;
}
