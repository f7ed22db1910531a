/*
 * The load, drawn before it starts: everything is a function of the seed and the request's number, so that two servers get the same
 * prompts, lengths and arrivals, whatever client a request falls to.
 */
#include "tools/serve.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Common words, which are a token each in the vocabularies of today. */
static const char words[] = " the of and to in a is that for it as was with be by on not he his but at are this have "
			    "from or had an they which one"
			    " you were all her she there would their we him been has when who will no more if out so "
			    "up said what its about than"
			    " into them can only other time new some could these two may first then do any like my now "
			    "over such our man me even"
			    " most made after also did many off before must well back through years much where your "
			    "way down should because long"
			    " each just state those people too mr how little good world make very year still see own "
			    "work men day get here old life"
			    " both between being under three never know same last another while us might great go come "
			    "since against right came"
			    " take used himself few house use place during high without again home around small "
			    "however found part school went say"
			    " number once always next less public water word hand city head power night name form "
			    "story business real light order";

enum stream { OF_PROMPT = 1, OF_OUTPUT, OF_GROUP, OF_ARRIVAL, OF_TOKENS, OF_SHARED };

static uint64_t draw(const struct serve *s, enum stream stream, uint32_t of, uint32_t at)
{
	return scatter(scatter(scatter(s->args->sampling.seed) ^ stream) ^ ((uint64_t)of << 32 | at));
}

/* In (0, 1). */
static double draw_unit(const struct serve *s, enum stream stream, uint32_t of, uint32_t at)
{
	return ((double)(draw(s, stream, of, at) >> 11) + 0.5) * 0x1p-53;
}

const char *serve_load_words(void)
{
	return words;
}

/* ---- lengths ---- */

struct length {
	bool is_lognormal;
	double median, sigma;
	uint32_t min, max;
};

#define LENGTH_MAX (1u << 20)

static bool read_length(struct length *l, const char *text)
{
	char more;

	*l = (struct length){ .min = 1 };
	if (sscanf(text, "lognormal:%lf:%lf:%u%c", &l->median, &l->sigma, &l->max, &more) == 3) {
		l->is_lognormal = true;
		return l->median >= 1 && l->median <= LENGTH_MAX && l->sigma >= 0 && l->sigma <= 10;
	}
	if (sscanf(text, "%u-%u%c", &l->min, &l->max, &more) == 2)
		return true;
	if (sscanf(text, "%u%c", &l->max, &more) != 1)
		return false;
	l->min = l->max;
	return true;
}

static int parse_length(struct length *l, const char *option, const char *text)
{
	if (read_length(l, text) && l->min >= 1 && l->min <= l->max && l->max <= LENGTH_MAX)
		return TOOL_OK;
	return fail(TOOL_USAGE,
		    "--%s: '%s' is none of N, LOW-HIGH, lognormal:MEDIAN:SIGMA:MOST, in tokens from 1 to %u, such as "
		    "128, 16-512, " SERVE_PROMPT_LEN,
		    option, text, LENGTH_MAX);
}

/* Box and Muller: a normal number of two uniform ones. */
static uint32_t draw_length(const struct serve *s, const struct length *l, enum stream stream, uint32_t i)
{
	double z, n;

	if (!l->is_lognormal)
		return l->min + (uint32_t)(draw(s, stream, i, 0) % (l->max - l->min + 1));
	z = sqrt(-2 * log(draw_unit(s, stream, i, 0))) * cos(2 * M_PI * draw_unit(s, stream, i, 1));
	n = round(l->median * exp(l->sigma * z));
	return n < 1 ? 1 : n > l->max ? l->max : (uint32_t)n;
}

static int draw_lengths(struct serve *s)
{
	const struct serve_args *o = &s->args->serve;
	struct length prompt, output;
	int code = parse_length(&prompt, "prompt-len", o->prompt_len ? o->prompt_len : SERVE_PROMPT_LEN);

	if (code == TOOL_OK)
		code = parse_length(&output, "output-len", o->output_len ? o->output_len : SERVE_OUTPUT_LEN);
	for (uint32_t i = 0; i < s->n_request && code == TOOL_OK; i++) {
		s->request[i].n_prompt = draw_length(s, &prompt, OF_PROMPT, i);
		s->request[i].n_output = draw_length(s, &output, OF_OUTPUT, i);
	}
	return code;
}

static bool read_line(struct serve_request *r, const char *line)
{
	char more;

	return sscanf(line, "%u,%u %c", &r->n_prompt, &r->n_output, &more) == 2 && r->n_prompt && r->n_output &&
	       r->n_prompt <= LENGTH_MAX && r->n_output <= LENGTH_MAX;
}

/* The lines of the file in their order, and again from its beginning. */
static int read_lengths(struct serve *s, FILE *f)
{
	const char *path = s->args->serve.lengths;
	uint32_t n = 0, at = 1;
	char *line = NULL;
	size_t size = 0;
	bool is_good = true;

	for (; n < s->n_request && is_good && getline(&line, &size, f) > 0; at += is_good) {
		if (*line == '#' || *line == '\n')
			continue;
		is_good = read_line(&s->request[n], line);
		n += is_good;
	}
	free(line);
	if (!is_good)
		return fail(TOOL_FAILED,
			    "%s, line %u: not prompt_tokens,output_tokens, each from 1 to %u, such as 230,203", path,
			    at, LENGTH_MAX);
	if (ferror(f) || !n)
		return fail(TOOL_FAILED, "%s: %s", path,
			    ferror(f) ? strerror(errno) : "no line of prompt_tokens,output_tokens");
	for (uint32_t i = n; i < s->n_request; i++) {
		s->request[i].n_prompt = s->request[i - n].n_prompt;
		s->request[i].n_output = s->request[i - n].n_output;
	}
	return TOOL_OK;
}

static int make_lengths(struct serve *s)
{
	const struct serve_args *o = &s->args->serve;
	FILE *f;
	int code;

	if (!o->lengths)
		return draw_lengths(s);
	if (o->prompt_len || o->output_len)
		return fail(TOOL_USAGE, "--lengths has both lengths: leave --prompt-len and --output-len out");
	f = fopen(o->lengths, "re");
	if (!f)
		return fail(TOOL_FAILED, "--lengths: %s: %s", o->lengths, strerror(errno));
	code = read_lengths(s, f);
	fclose(f);
	return code;
}

/* ---- the plan ---- */

static void *map_shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t n_stamp(const struct serve *s)
{
	const struct serve_request *last = &s->request[s->n_request - 1];

	return last->stamp0 + last->n_output;
}

int serve_load_plan(struct serve *s)
{
	const struct serve_args *o = &s->args->serve;
	uint32_t n_group = o->n_group ? o->n_group : 1;
	double due = 0;
	size_t stamp = 0;
	int code;

	s->shared = map_shared(sizeof(*s->shared));
	s->request = map_shared(s->n_request * sizeof(*s->request));
	if (!s->shared || !s->request)
		return fail(TOOL_FAILED, "no memory for %u requests", s->n_request);
	code = make_lengths(s);
	if (code != TOOL_OK)
		return code;
	for (uint32_t i = 0; i < s->n_request; i++) {
		struct serve_request *r = &s->request[i];

		r->stamp0 = stamp;
		stamp += r->n_output;
		r->group = (uint32_t)(draw(s, OF_GROUP, i, 0) % n_group);
		r->n_shared = (uint32_t)((double)o->shared_prefix * r->n_prompt + 0.5);
		r->due_s = o->request_rate > 0 ? due : 0; /* the first at once, as Poisson's process may be begun */
		due -= log(draw_unit(s, OF_ARRIVAL, i, 0)) / (double)o->request_rate;
	}
	s->stamp = map_shared(stamp * sizeof(*s->stamp));
	return s->stamp ? TOOL_OK : fail(TOOL_FAILED, "no memory for the times of %zu tokens", stamp);
}

void serve_load_free(struct serve *s)
{
	if (s->stamp)
		munmap(s->stamp, n_stamp(s) * sizeof(*s->stamp));
	if (s->request)
		munmap(s->request, s->n_request * sizeof(*s->request));
	if (s->shared)
		munmap(s->shared, sizeof(*s->shared));
	free(s->id);
}

/* ---- prompts ---- */

static bool has_id(const struct serve *s, uint32_t id)
{
	for (uint32_t i = 0; i < s->n_id; i++)
		if (s->id[i] == id)
			return true;
	return false;
}

int serve_load_add(struct serve *s, const uint32_t *id, size_t n)
{
	uint32_t *more = realloc(s->id, (s->n_id + n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	s->id = more;
	for (size_t i = 0; i < n; i++)
		if (!has_id(s, id[i]))
			s->id[s->n_id++] = id[i];
	return 0;
}

static uint64_t token_at(const struct serve *s, uint32_t i, uint32_t at)
{
	const struct serve_request *r = &s->request[i];

	return at < r->n_shared ? draw(s, OF_SHARED, r->group, at) : draw(s, OF_TOKENS, i, at);
}

void serve_load_ids(const struct serve *s, uint32_t i, uint32_t *id)
{
	for (uint32_t k = 0; k < s->request[i].n_prompt; k++)
		id[k] = s->id[token_at(s, i, k) % s->n_id];
}

/* Each begins with a space. */
static uint32_t find_words(const char **word)
{
	uint32_t n = 0;

	for (const char *p = words; p; p = strchr(p + 1, ' '))
		word[n++] = p;
	return n;
}

char *serve_load_text(const struct serve *s, uint32_t i)
{
	static const char *word[sizeof(words) / 2];
	uint32_t n = find_words(word);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (uint32_t k = 0; f && k < s->request[i].n_prompt; k++) {
		const char *p = word[token_at(s, i, k) % n];

		fwrite(p, 1, 1 + strcspn(p + 1, " "), f);
	}
	if (!f || fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
