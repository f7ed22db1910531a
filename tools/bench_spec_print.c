#include "tools/bench_spec.h"

#include <math.h>

void spec_print_head(const struct args *a, const char *model)
{
	printf("%s: answers of up to %u tokens, %u repetitions, seed %llu\n\n", model, a->n_gen, a->n_repeat,
	       (unsigned long long)a->sampling.seed);
	printf("%-11s %5s %-7s %9s %9s %8s %13s %9s %8s %8s %11s\n", "task", "batch", "guesses", "without", "with",
	       "speed-up", "(low, high)", "expected", "guessed", "accepted", "tokens/pass");
}

static double share(double of, double all)
{
	return all > 0 ? of / all : NAN;
}

/* "-" where there is none. */
static const char *show(char *to, size_t n, const char *format, double x)
{
	if (isfinite(x))
		snprintf(to, n, format, x);
	else
		snprintf(to, n, "-");
	return to;
}

void spec_print_figure(const struct spec_figure *f)
{
	char without[16], with[16], speedup[16], range[32] = "-", predicted[16], accepted[16], pass[16];

	if (isfinite(f->low))
		snprintf(range, sizeof(range), "(%.2f, %.2f)", f->low, f->high);
	printf("%-11s %5u %-7s %9s %9s %8s %13s %9s %8.0f %8s %11s\n", f->task->name, f->n_seq, spec_mode_name(f->mode),
	       show(without, sizeof(without), "%.1f", f->without), show(with, sizeof(with), "%.1f", f->with),
	       show(speedup, sizeof(speedup), "%.3f", f->speedup), range,
	       show(predicted, sizeof(predicted), "%.3f", f->predicted), f->n_guessed,
	       show(accepted, sizeof(accepted), "%.2f", share(f->n_hit, f->n_guessed)),
	       show(pass, sizeof(pass), "%.2f", share(f->n_token, f->n_pass)));
	fflush(stdout); /* the next one takes a while */
}

json_t *spec_figure_json(const struct spec_figure *f)
{
	return json_pack("{s:s,s:i,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:o,s:I,s:o,s:b}", "task", f->task->name,
			 "batch", (int)f->n_seq, "guesses", spec_mode_name(f->mode), "tokens_per_second_without",
			 json_figure(f->without), "tokens_per_second", json_figure(f->with), "speedup",
			 json_figure(f->speedup), "speedup_low", json_figure(f->low), "speedup_high",
			 json_figure(f->high), "speedup_expected", json_figure(f->predicted), "guessed",
			 (json_int_t)f->n_guessed, "accepted", (json_int_t)f->n_hit, "acceptance",
			 json_figure(share(f->n_hit, f->n_guessed)), "tokens", (json_int_t)f->n_token,
			 "tokens_per_pass", json_figure(share(f->n_token, f->n_pass)), "identical", 1);
}
