#include "daemon/flow/meter.h"
#include "daemon/util/counter.h"

#include <errno.h>

/* ---- scales: the bounds of vLLM's histograms, and finer ones below them, where a request of a small model lies ---- */

#define US(x) ((x)*1000ull)
#define MS(x) ((x)*1000000ull)
#define S(x)  ((x)*1000000000ull)

static const uint64_t first_token[] = { US(200), US(500), MS(1),   MS(2),   MS(5),   MS(10), MS(20),   MS(40), MS(60),
					MS(80),  MS(100), MS(250), MS(500), MS(750), S(1),   MS(2500), S(5),   MS(7500),
					S(10),   S(20),   S(40),   S(80),   S(160),  S(640), S(2560) };
static const uint64_t between[] = { US(200), US(500),  MS(1),   MS(2),    MS(5),   MS(10),  MS(25),  MS(50),
				    MS(75),  MS(100),  MS(150), MS(200),  MS(300), MS(400), MS(500), MS(750),
				    S(1),    MS(2500), S(5),    MS(7500), S(10),   S(20),   S(40),   S(80) };
static const uint64_t whole[] = { MS(1),    MS(5), MS(20),   MS(50), MS(100), MS(300), MS(500), MS(800), S(1),
				  MS(1500), S(2),  MS(2500), S(5),   S(10),   S(15),   S(20),   S(30),   S(40),
				  S(50),    S(60), S(120),   S(240), S(480),  S(960),  S(1920), S(7680) };
static const uint64_t tokens[] = { 1,    2,    5,     10,    20,    50,     100,    200,    500,    1000,
				   2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000 };

#define SCALE(bounds, is_time)                                        \
	{                                                             \
		bounds, sizeof(bounds) / sizeof((bounds)[0]), is_time \
	}
#define FITS(bounds) _Static_assert(sizeof(bounds) / sizeof((bounds)[0]) <= METER_BOUND_MAX, "a place for each")

FITS(first_token);
FITS(between);
FITS(whole);

static const struct meter_scale scales[METER_FIGURE_MAX] = {
	[METER_FIRST_TOKEN] = SCALE(first_token, true),
	[METER_INTER_TOKEN] = SCALE(between, true),
	[METER_DECODE_GAP] = SCALE(between, true),
	[METER_WHOLE] = SCALE(whole, true),
	[METER_QUEUE] = SCALE(whole, true),
	[METER_PREFILL] = SCALE(whole, true),
	[METER_DECODE] = SCALE(whole, true),
	[METER_STEP] = SCALE(between, true),
	[METER_PROMPT_TOKENS] = SCALE(tokens, false),
	[METER_GENERATED_TOKENS] = SCALE(tokens, false),
};

const struct meter_scale *meter_scale_of(enum meter_figure figure)
{
	return &scales[figure];
}

static void observe(struct meter *m, enum meter_figure figure, uint64_t v)
{
	const struct meter_scale *s = &scales[figure];
	struct meter_histogram *h = &m->figure[figure];
	uint32_t i = 0;

	while (i < s->n && v > s->bound[i])
		i++;
	counter_add(&h->sum, v);
	counter_add(&h->n[i], 1);
}

/* ---- what is counted ---- */

static void count_first(struct meter *m, struct request *r, uint64_t now_ns)
{
	uint64_t slow_ns = load_relaxed64(&m->events.slow_ns), first_ns = now_ns - r->came_ns;

	r->first_ns = now_ns;
	if (!r->op->is_drawn)
		return;
	observe(m, METER_FIRST_TOKEN, first_ns);
	if (slow_ns && first_ns > slow_ns && event_is_wanted(&m->events, EVENT_ERRORS))
		event_put_request(&m->events, EVENT_SLOW, r, 0, now_ns);
}

void meter_result(struct meter *m, struct request *r, bool is_token, uint64_t now_ns)
{
	if (!r->last_ns)
		counter_add(&m->n_prompt, r->kept.n_prompt);
	if (!is_token) {
		r->last_ns = now_ns;
		return;
	}
	counter_add(&m->n_generated, r->op->is_drawn);
	if (!r->first_ns) {
		count_first(m, r, now_ns);
	} else if (r->op->is_drawn) {
		observe(m, METER_INTER_TOKEN, now_ns - r->last_ns);
		if (now_ns != r->last_ns)
			observe(m, METER_DECODE_GAP, now_ns - r->last_ns);
	}
	r->last_ns = now_ns;
}

void meter_step(struct meter *m, uint64_t ns)
{
	observe(m, METER_STEP, ns);
}

static enum meter_reason reason_of(const struct request *r)
{
	switch (r->kept.res) {
	case 0:
		return !r->op->is_drawn ? METER_COMPLETE : r->kept.hit_stop ? METER_STOP : METER_LENGTH;
	case -ECANCELED:
		return METER_ABORT;
	case -ETIME:
		return METER_DEADLINE;
	default:
		return METER_ERROR;
	}
}

static void count_end(struct meter *m, const struct request *r, enum meter_reason reason, uint64_t now_ns)
{
	uint64_t began_ns = r->started_ns ? r->started_ns : now_ns;

	counter_add(&m->n_end[reason], 1);
	if (!r->last_ns && r->kept.res == 0) /* without a result, with which they are counted else */
		counter_add(&m->n_prompt, r->kept.n_prompt);
	observe(m, METER_WHOLE, now_ns - r->came_ns);
	observe(m, METER_QUEUE, began_ns - r->came_ns);
	observe(m, METER_PROMPT_TOKENS, r->kept.n_prompt);
	observe(m, METER_GENERATED_TOKENS, r->op->is_drawn ? r->kept.n_emitted : 0);
	if (!r->first_ns || !r->op->is_drawn)
		return;
	observe(m, METER_PREFILL, r->first_ns - began_ns);
	observe(m, METER_DECODE, r->last_ns - r->first_ns);
}

void meter_end(struct meter *m, const struct request *r, bool is_gone, uint64_t now_ns)
{
	enum meter_reason reason = is_gone ? METER_ABORT : reason_of(r);
	bool is_error = reason == METER_ERROR || reason == METER_DEADLINE;

	if (reason == METER_ABORT)
		counter_add(&m->n_cancelled[is_gone ? METER_CLIENT_GONE : METER_BY_CLIENT], 1);
	if (r->op->wants_logits)
		count_end(m, r, reason, now_ns);
	if (event_is_wanted(&m->events, is_error ? EVENT_ERRORS : EVENT_REQUESTS))
		event_put_request(&m->events, EVENT_ENDED, r, (uint8_t)reason, now_ns);
}

/* ---- names ---- */

const char *meter_reason_name(enum meter_reason reason)
{
	static const char *const name[METER_REASON_MAX] = {
		"stop", "length", "complete", "abort", "deadline", "error"
	};

	return name[reason];
}

enum meter_refusal meter_refusal_of(int res)
{
	switch (res) {
	case -EINVAL:
		return METER_MALFORMED;
	case -E2BIG:
	case -EMSGSIZE:
		return METER_TOO_LONG;
	case -EBUSY:
		return METER_BUSY;
	case -EDQUOT:
		return METER_QUOTA;
	case -ESHUTDOWN:
		return METER_SHUTDOWN;
	case -EOPNOTSUPP:
		return METER_UNKNOWN;
	default:
		return METER_OTHER;
	}
}

const char *meter_refusal_name(enum meter_refusal refusal)
{
	static const char *const name[METER_REFUSAL_MAX] = { "malformed", "too_long", "busy", "quota",
							     "shutdown",  "unknown",  "other" };

	return name[refusal];
}
