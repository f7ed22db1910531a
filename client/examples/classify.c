/* Which of some labels fits a text best. cc classify.c $(pkg-config --cflags --libs gyre) -lm */
#include <gyre.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define N_LABEL 3

static void print_labels(const struct gyre_label *label)
{
	double sum = 0;

	for (int i = 0; i < N_LABEL; i++)
		sum += exp((double)label[i].logprob);
	for (int i = 0; i < N_LABEL; i++)
		printf("%6.2f %%%s\n", 100 * exp((double)label[i].logprob) / sum, label[i].text);
}

int main(int argc, char **argv)
{
	struct gyre_label label[N_LABEL] = { { .text = " positive" }, { .text = " neutral" }, { .text = " negative" } };
	const char *review = argc > 1 ? argv[1] : "It broke on the second day, and nobody answers.";
	char why[256] = "", prompt[4096];
	struct gyre_params params = { .error = why, .error_bytes = sizeof(why) };
	struct gyre *g;
	int res = gyre_connect(&g, NULL, &params);

	if (res < 0) {
		fprintf(stderr, "classify: %s\n", why);
		return 1;
	}
	snprintf(prompt, sizeof(prompt), "Review: %s\nThe sentiment of this review is", review);
	res = gyre_score_labels(g, prompt, strlen(prompt), 0, label, N_LABEL);
	if (res == 0)
		print_labels(label);
	else
		fprintf(stderr, "classify: %s\n", *label[0].why ? label[0].why : strerror(-res));
	gyre_close(g);
	return res < 0;
}
