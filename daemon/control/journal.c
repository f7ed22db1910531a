#define SD_JOURNAL_SUPPRESS_LOCATION

#include "daemon/control/journal.h"
#include "daemon/op/op.h"
#include "daemon/util/counter.h"
#include "daemon/util/log.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-journal.h>

#define ID_DROPPED "680c7449dfab43699d1e52b0f269fde4"

static const struct {
	const char *id, *many; /* many: of which the journal has had enough */
	int priority;          /* as in sd-daemon(3) */
} kinds[EVENT_KIND_MAX] = {
	[EVENT_ACCEPTED] = { "77beaf060f62403599b73dc600bfcc20", "requests accepted", 7 },
	[EVENT_SLOW] = { "fd67379d6af74a03a42062768419eae3", "requests with a late first token", 5 },
	[EVENT_ENDED] = { "bcaac3287f4848e8971f7ec1b78a4308", "requests that failed", 6 },
	[EVENT_REFUSED] = { "6a08455a936b4d23b97e2bc173cae6fa", "entries refused", 5 },
};

void journal_set(struct journal *j, struct intake *in, enum event_level level, uint64_t slow_ns)
{
	j->level = level;
	j->is_native = log_is_journal();
	for (uint32_t i = 0; i < QUEUE_ENGINE_MAX; i++)
		event_set_level(&in->queue[i].meter.events, level, slow_ns);
}

static const char *op_name(uint8_t opcode)
{
	const struct op *op = op_find(opcode);

	return op ? op->name : "?";
}

static const char *reason_of(const struct event *e)
{
	switch (e->kind) {
	case EVENT_ENDED:
		return meter_reason_name((enum meter_reason)e->reason);
	case EVENT_REFUSED:
		return meter_refusal_name((enum meter_refusal)e->reason);
	default:
		return "";
	}
}

/* ---- a line ---- */

static void say(const struct event *e, const char *model, char *text, size_t n)
{
	const char *op = op_name(e->opcode);

	switch (e->kind) {
	case EVENT_ACCEPTED:
		snprintf(text, n, "request %llu accepted: %s of uid %u, session %u, model %s",
			 (unsigned long long)e->request, op, e->uid, e->session, model);
		break;
	case EVENT_SLOW:
		snprintf(text, n,
			 "request %llu is slow: first token after %.1f ms; %s of uid %u, session %u, model %s, %u "
			 "tokens of prompt",
			 (unsigned long long)e->request, (double)e->first_ns * 1e-6, op, e->uid, e->session, model,
			 e->n_prompt);
		break;
	case EVENT_ENDED:
		snprintf(text, n,
			 "request %llu ended: %s (%d); %s of uid %u, session %u, model %s, %u tokens of prompt, %u of "
			 "answer, first after %.1f ms, %.1f ms in all",
			 (unsigned long long)e->request, reason_of(e), e->res, op, e->uid, e->session, model,
			 e->n_prompt, e->n_token, (double)e->first_ns * 1e-6, (double)e->whole_ns * 1e-6);
		break;
	default:
		snprintf(text, n, "entry refused: %s (%d); %s of uid %u, session %u, model %s", reason_of(e), e->res,
			 op, e->uid, e->session, model);
		break;
	}
}

static void send_fields(const struct event *e, const char *model, const char *text)
{
	(void)sd_journal_send("MESSAGE=%s", text, "MESSAGE_ID=%s", kinds[e->kind].id, "PRIORITY=%d",
			      kinds[e->kind].priority, "GYRE_UID=%u", e->uid, "GYRE_SESSION=%u", e->session,
			      "GYRE_REQUEST=%llu", (unsigned long long)e->request, "GYRE_MODEL=%s", model,
			      "GYRE_OPERATION=%s", op_name(e->opcode), "GYRE_PROMPT_TOKENS=%u", e->n_prompt,
			      "GYRE_TOKENS=%u", e->n_token, "GYRE_TTFT_US=%llu",
			      (unsigned long long)(e->first_ns / 1000), "GYRE_DURATION_US=%llu",
			      (unsigned long long)(e->whole_ns / 1000), "GYRE_RESULT=%d", e->res, "GYRE_REASON=%s",
			      reason_of(e), NULL);
}

static void write_event(struct journal *j, const struct event *e, uint64_t now_ns)
{
	char text[512];

	if (j->level == EVENT_ERRORS && !log_limit_pass(&j->limit, kinds[e->kind].many, e->uid, now_ns))
		return;
	say(e, e->served->name, text, sizeof(text));
	if (j->is_native)
		send_fields(e, e->served->name, text);
	else
		log_info("%s", text);
}

/* ---- the rings ---- */

static void tell_dropped(struct journal *j, uint64_t n)
{
	char text[128];

	if (n <= j->n_dropped)
		return;
	snprintf(text, sizeof(text), "%llu records of requests were dropped: more came than are written at once",
		 (unsigned long long)(n - j->n_dropped));
	j->n_dropped = n;
	if (j->is_native)
		(void)sd_journal_send("MESSAGE=%s", text, "MESSAGE_ID=" ID_DROPPED, "PRIORITY=4", NULL);
	else
		log_warn("%s", text);
}

bool journal_drain(struct journal *j, struct intake *in, uint64_t now_ns)
{
	uint64_t n_dropped = 0;
	struct event e;

	for (uint32_t i = 0; i < QUEUE_ENGINE_MAX; i++) {
		struct event_ring *ring = &in->queue[i].meter.events;

		/* No more than a ring: what comes meanwhile is for the next look. */
		for (uint32_t k = 0; k < EVENT_RING_MAX && event_take(ring, &e); k++)
			write_event(j, &e, now_ns);
		n_dropped += counter_read(&ring->n_dropped);
	}
	tell_dropped(j, n_dropped);
	return log_limit_flush(&j->limit, now_ns);
}

void journal_end(struct journal *j, struct intake *in, uint64_t now_ns)
{
	journal_drain(j, in, now_ns);
	log_limit_end(&j->limit, now_ns);
}
