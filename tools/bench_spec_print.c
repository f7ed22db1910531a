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

void spec_print_figure(const struct spec_figure *f)
{
	char without[32], with[32], speedup[32], range[32] = "-", predicted[32], accepted[32], pass[32];

	if (isfinite(f->low))
		snprintf(range, sizeof(range), "(%.2f, %.2f)", f->low, f->high);
	printf("%-11s %5u %-7s %9s %9s %8s %13s %9s %8.0f %8s %11s\n", f->task->name, f->n_seq, spec_mode_name(f->mode),
	       number_text(without, "%.1f", f->without), number_text(with, "%.1f", f->with),
	       number_text(speedup, "%.3f", f->speedup), range, number_text(predicted, "%.3f", f->predicted),
	       f->n_guessed, number_text(accepted, "%.2f", share(f->n_hit, f->n_guessed)),
	       number_text(pass, "%.2f", share(f->n_token, f->n_pass)));
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
