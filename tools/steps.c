#include "tools/steps.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void name_lap(struct steps *s, int i, const char *name)
{
	snprintf(s->lap[i], sizeof(s->lap[i]), "%s", name);
}

void steps_read(struct steps *s, const struct team *t, const struct model *m)
{
	struct profile_sum sum;

	for (int i = 0; i < PROFILE_MODEL_MAX; i++)
		name_lap(s, i, model_laps(m)[i] ? model_laps(m)[i] : "");
	s->n_layer = model_hparams(m)->n_layer;
	s->n_worker = team_size(t);
	profile_read(team_profile(t, 0), &s->leader);
	for (int i = 0; i < s->n_worker; i++) {
		profile_read(team_profile(t, i), &sum);
		s->barrier_ns[i] = sum.ns[PROFILE_BARRIER];
	}
}

/* NULL: the model has no such part. */
static const char *part_name(const struct steps *s, int part)
{
	const char *lap[PROFILE_MODEL_MAX];

	for (int i = 0; i < PROFILE_MODEL_MAX; i++)
		lap[i] = s->lap[i][0] ? s->lap[i] : NULL;
	return profile_part_name((enum profile_part)part, lap);
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

#define STATS_BYTES (1u << 18)

static json_t *stats_parse(const char *text, int *code)
{
	json_error_t why;
	json_t *j = json_loads(text, 0, &why);

	if (!j)
		*code = fail(TOOL_FAILED,
			     "statistics: the daemon's answer is no JSON (%s); gyre and gyred may differ in version",
			     why.text);
	return j;
}

json_t *stats_query(struct gyre *g, int *code)
{
	static char text[STATS_BYTES];
	ssize_t n = gyre_query_stats(g, text, sizeof(text));

	if (n >= 0)
		return stats_parse(text, code);
	*code = fail(TOOL_FAILED, "statistics: %s", strerror((int)-n));
	return NULL;
}

json_t *stats_ask(const struct args *a, int *code)
{
	static char text[STATS_BYTES];
	ssize_t n = gyre_query(a->socket, ABI_QUERY_STATS, "sessions", 0, text, sizeof(text));

	if (n >= 0)
		return stats_parse(text, code);
	*code = link_refuse(a, (int)n, text);
	return NULL;
}

/* The parts that are the daemon's in every model have names that this tool knows; the others are the model's, in their order. */
static void parts_parse(struct steps *s, json_t *ns)
{
	const char *name;
	json_t *value;
	int n_lap = 0;

	json_object_foreach(ns, name, value)
	{
		int part = 0;

		while (part < PROFILE_PART_MAX && (!part_name(s, part) || strcmp(part_name(s, part), name)))
			part++;
		if (part == PROFILE_PART_MAX && n_lap < PROFILE_MODEL_MAX) {
			name_lap(s, n_lap, name);
			part = PROFILE_MODEL + n_lap++;
		}
		if (part < PROFILE_PART_MAX)
			s->leader.ns[part] = json_number_value(value);
	}
}

/* The "step" object of the statistics. false: it is none. */
static bool steps_parse(struct steps *s, const json_t *step)
{
	const json_t *wait = json_object_get(step, "barrier_ns");
	json_t *ns = json_object_get(step, "ns");
	size_t n = json_array_size(wait);

	memset(s, 0, sizeof(*s));
	if (!ns || n < 1 || n > TEAM_MAX)
		return false;
	s->n_layer = (uint32_t)number(step, "layers");
	s->n_worker = (int)n;
	s->leader.n_row = (uint64_t)number(step, "rows");
	s->leader.n[PROFILE_HEAD] = (uint64_t)number(step, "passes");
	s->leader.n[PROFILE_BARRIER] = (uint64_t)number(step, "barriers");
	parts_parse(s, ns);
	for (size_t i = 0; i < n; i++)
		s->barrier_ns[i] = json_number_value(json_array_get(wait, i));
	return true;
}

int steps_query(struct gyre *g, struct steps *s)
{
	int code = TOOL_OK;
	json_t *j = stats_query(g, &code);

	if (j && !steps_parse(s, json_object_get(j, "step")))
		code = fail(TOOL_FAILED, "statistics: this gyred does not say where its steps' time goes");
	json_decref(j);
	return code;
}

void steps_add(struct steps *sum, const struct steps *s)
{
	memcpy(sum->lap, s->lap, sizeof(sum->lap));
	sum->n_layer = s->n_layer;
	sum->n_worker = s->n_worker;
	sum->leader.n_row += s->leader.n_row;
	for (int i = 0; i < PROFILE_PART_MAX; i++) {
		sum->leader.n[i] += s->leader.n[i];
		sum->leader.ns[i] += s->leader.ns[i];
	}
	for (int i = 0; i < s->n_worker; i++)
		sum->barrier_ns[i] += s->barrier_ns[i];
}

/* Readings scale the same ticks by a clock read anew, so a part that has not moved may seem to have run backwards by a little. */
static double grown(double now, double before)
{
	return now > before ? now - before : 0;
}

void steps_subtract(struct steps *s, const struct steps *since)
{
	if (s->leader.n[PROFILE_HEAD] < since->leader.n[PROFILE_HEAD] || s->leader.n_row < since->leader.n_row)
		return; /* they count from the start of another daemon */
	s->leader.n_row -= since->leader.n_row;
	for (int i = 0; i < PROFILE_PART_MAX; i++) {
		s->leader.n[i] -= since->leader.n[i] < s->leader.n[i] ? since->leader.n[i] : s->leader.n[i];
		s->leader.ns[i] = grown(s->leader.ns[i], since->leader.ns[i]);
	}
	for (int i = 0; i < s->n_worker; i++)
		s->barrier_ns[i] = grown(s->barrier_ns[i], since->barrier_ns[i]);
}

/* NAN where no step was made: then nothing has a share, or a mean. */
static double busy_ns(const struct steps *s)
{
	double sum = 0;

	for (int i = PROFILE_IDLE + 1; i < PROFILE_PART_MAX; i++)
		sum += s->leader.ns[i];
	return sum > 0 && s->leader.n[PROFILE_HEAD] ? sum : NAN;
}

static double n_pass(const struct steps *s)
{
	return s->leader.n[PROFILE_HEAD] ? (double)s->leader.n[PROFILE_HEAD] : NAN;
}

/* Two more a step stand outside the layers: after the embedding, and at the end. */
static double barriers_per_layer(const struct steps *s)
{
	double n = (double)s->leader.n[PROFILE_BARRIER] / n_pass(s) - 2;

	return isnan(n) ? n : n > 0 && s->n_layer ? n / s->n_layer : 0;
}

double steps_own_share(const struct steps *s)
{
	static const enum profile_part own[] = { PROFILE_INTAKE, PROFILE_PLAN, PROFILE_DRAFT, PROFILE_SAMPLE,
						 PROFILE_EMIT };
	double sum = 0;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sum += s->leader.ns[own[i]];
	return sum / busy_ns(s);
}

void steps_print(const struct steps *s)
{
	double all = busy_ns(s), n = n_pass(s);

	if (isnan(all)) {
		puts("  no step was made");
		return;
	}
	for (int i = PROFILE_IDLE + 1; i < PROFILE_PART_MAX; i++)
		if (s->leader.ns[i] > 0)
			printf("  %-12s %10.1f us  %5.1f %%\n", part_name(s, i), s->leader.ns[i] * 1e-3 / n,
			       100 * s->leader.ns[i] / all);
	printf("  %-12s %10.1f us\n  %llu steps, %.1f rows a step, %.1f barriers a layer; waiting at barriers:", "step",
	       all * 1e-3 / n, (unsigned long long)s->leader.n[PROFILE_HEAD], (double)s->leader.n_row / n,
	       barriers_per_layer(s));
	for (int i = 0; i < s->n_worker; i++)
		printf(" %.1f %%", 100 * s->barrier_ns[i] / all);
	putchar('\n');
}

json_t *steps_json(const struct steps *s)
{
	json_t *share = json_object(), *wait = json_array();
	double all = busy_ns(s);

	for (int i = PROFILE_IDLE + 1; i < PROFILE_PART_MAX; i++)
		if (part_name(s, i))
			json_object_set_new(share, part_name(s, i), json_figure(s->leader.ns[i] / all));
	for (int i = 0; i < s->n_worker; i++)
		json_array_append_new(wait, json_figure(s->barrier_ns[i] / all));
	return json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "steps", (json_int_t)s->leader.n[PROFILE_HEAD], "step_us",
			 json_figure(all * 1e-3 / n_pass(s)), "own_share", json_figure(steps_own_share(s)), "rows",
			 json_figure((double)s->leader.n_row / n_pass(s)), "barriers_per_layer",
			 json_figure(barriers_per_layer(s)), "share", share, "barrier_share", wait);
}
