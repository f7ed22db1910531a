/*
 * `gyre bench spec`, the parts: bench_spec_task.c writes the prompts, bench_spec_run.c has a daemon answer them with and without guesses,
 * bench_spec_print.c prints what came of it; bench_spec_curve.c measures the speed-up by how often a guess is right, in this process,
 * and bench_spec_plot.c draws it.
 */
#ifndef GYRE_TOOLS_BENCH_SPEC_H
#define GYRE_TOOLS_BENCH_SPEC_H

#include "tools/tool.h"

/* ---- bench_spec_task.c ---- */

#define SPEC_PROMPTS      4u /* built in, of a task */
#define SPEC_PROMPT_BYTES 4096u
#define SPEC_RANDOM_TEMP  2.0f

struct spec_task {
	const char *name;
	bool is_random; /* words in any order, gone on with as they are, at SPEC_RANDOM_TEMP */
	const char *prompt[SPEC_PROMPTS];
};

extern const struct spec_task spec_tasks[];
extern const uint32_t n_spec_task;

/* One of its prompts with names, words and numbers that the seed draws; text[SPEC_PROMPT_BYTES]. Its length. */
size_t spec_task_write(const struct spec_task *t, uint64_t seed, char *text);

/* ---- bench_spec_run.c ---- */

#define SPEC_BATCH_MAX 32u /* beside as many that are kept, entries of a session's ring */
#define SPEC_GEN_MAX   4096u

enum { SPEC_NONE, SPEC_LOOKUP, SPEC_AUTO, SPEC_MODES }; /* enum gyre_draft, less one */

/* What came of one batch of answers in one mode. */
struct spec_outcome {
	double window_s;                   /* from when all had a token to the last one */
	uint32_t n_window, n_token;        /* tokens in it, and all */
	uint32_t n_pass;                   /* of each stream, summed */
	double n_guessed, n_hit, expected; /* the daemon's counters; the speed-up that it expected */
};

/* Tokens of each answer. */
struct spec_answers {
	uint32_t n[SPEC_BATCH_MAX];
	int32_t *token;    /* [SPEC_BATCH_MAX][SPEC_GEN_MAX] */
	uint64_t *time_ns; /* [SPEC_BATCH_MAX][SPEC_GEN_MAX] */
};

/* Prompts [0, n_seq) of a task are read and kept in the daemon, for all modes. An exit code; an error was printed. */
int spec_run_read(struct link *l, const struct args *a, const struct spec_task *t, uint64_t seed, uint32_t n_seq);
/* Answers them at once. */
int spec_run_answer(struct link *l, const struct args *a, const struct spec_task *t, uint32_t n_seq, uint32_t mode,
		    struct spec_answers *to, struct spec_outcome *o);
/* Lets go of the prompts. */
int spec_run_forget(struct link *l, uint32_t n_seq);

/* ---- bench_spec_print.c ---- */

/* Of a task, a batch and a mode: medians over the repetitions, and sums. NAN: no answer had two steps. */
struct spec_figure {
	const struct spec_task *task;
	uint32_t n_seq, mode;
	double with, without; /* tokens a second */
	double speedup, low, high, predicted;
	double n_guessed, n_hit, n_token, n_pass;
};

const char *spec_mode_name(uint32_t mode);
void spec_print_head(const struct args *a, const char *model);
void spec_print_figure(const struct spec_figure *f);
json_t *spec_figure_json(const struct spec_figure *f);

/* ---- bench_spec_curve.c, bench_spec_plot.c ---- */

#define SPEC_POINTS 11u /* a guess is right with probability 0, 0.1 .. 1 */

struct spec_point {
	double alpha;
	double speedup, predicted; /* medians of the repetitions' ratios */
	double n_guess;            /* of a step, on average */
	double tokens_per_pass;
};

int spec_curve_main(const struct args *a);
/* An SVG of n points. -errno. */
int spec_plot_write(const char *path, const struct spec_point *p, uint32_t n, const char *title);

#endif
