/*
 * A Jinja interpreter for chat templates, as transformers and llama.cpp run them: the language of Jinja2 in the environment that
 * transformers makes of it (an immutable sandbox, trim_blocks, lstrip_blocks, break and continue, `generation` without effect,
 * its own tojson), the same bytes out and the same words where a template raises.
 *
 * A parsed template is immutable and shared; the memory of a rendering is a scratch, which one thread owns: an arena for values, a
 * buffer for text, and the spent part of the limits. Nothing is taken from the heap while rendering, and every value is
 * dropped at once by jinja_scratch_reset. Values passed as globals are made in the same scratch, before rendering.
 *
 * Templates come with model files and the texts from strangers: both are hostile. Each expression, statement, turn of a loop and
 * 64 bytes looked at or copied is a step; steps, memory, text, and nesting are bounded, and reaching a bound is an error with a line.
 *
 * Each byte of a string knows whether the template wrote it: literals and text of the template did, and strings made with
 * is_template; any other value that came in, and any text made of a number, is not the template's. The mark goes with the byte through
 * every operation; where it cannot (tojson, repr), the bytes are not the template's. Only the template's bytes of the output
 * may be read as control tokens.
 */
#ifndef GYRE_DAEMON_JINJA_JINJA_H
#define GYRE_DAEMON_JINJA_JINJA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jinja;         /* a parsed template: immutable, any number of threads share one */
struct jinja_scratch; /* one thread's memory for values and output; allocated once, nothing is allocated while rendering */
struct jinja_value; /* lives in a scratch until jinja_scratch_reset */

struct jinja_limits {
	uint64_t n_step;     /* expressions and statements evaluated, loop turns, and bytes copied / 64 or so */
	size_t value_bytes;  /* memory of all values of a rendering */
	size_t output_bytes; /* text of a rendering */
	uint32_t depth;      /* nested calls, blocks, and values */
	int64_t now;         /* strftime_now()'s moment: seconds since the epoch, UTC; fixed, so that answers are */
};

/* Bytes [begin, end) of the output that the template itself wrote. */
struct jinja_range {
	uint32_t begin, end;
};

struct jinja_output {
	const char *text; /* in the scratch, until jinja_scratch_reset */
	size_t n;
	const struct jinja_range *range; /* [n_range] ascending, not touching */
	size_t n_range;
};

/* Parse. -EINVAL: err names the line and the mistake there ("line 12: no filter named 'foo'"). -ENOMEM. */
int jinja_new(struct jinja **tp, const char *source, size_t n, char *err, size_t err_len);
struct jinja *jinja_free(struct jinja *t);

struct jinja_scratch *jinja_scratch_new(const struct jinja_limits *limits);
struct jinja_scratch *jinja_scratch_free(struct jinja_scratch *s);
void jinja_scratch_reset(struct jinja_scratch *s);
/* The same, and nothing stays of the rendered text: its pages go back to the kernel, which clears them. */
void jinja_scratch_wipe(struct jinja_scratch *s);

/* Values. NULL: the scratch is full (NULL arguments pass through, so that only the last result need be looked at). */
struct jinja_value *jinja_none(struct jinja_scratch *s);
struct jinja_value *jinja_bool(struct jinja_scratch *s, bool b);
struct jinja_value *jinja_int(struct jinja_scratch *s, int64_t i);
/* is_template: its bytes count as the template's own (bos_token, eos_token). p is copied. */
struct jinja_value *jinja_string(struct jinja_scratch *s, const char *p, size_t n, bool is_template);
struct jinja_value *jinja_list(struct jinja_scratch *s);
struct jinja_value *jinja_dict(struct jinja_scratch *s);
/* JSON text -> value; strings are not the template's. NULL: err says why and where. */
struct jinja_value *jinja_json(struct jinja_scratch *s, const char *p, size_t n, char *err, size_t err_len);
struct jinja_value *jinja_list_append(struct jinja_scratch *s, struct jinja_value *list,
				      struct jinja_value *v); /* list */
struct jinja_value *jinja_dict_set(struct jinja_scratch *s, struct jinja_value *dict, const char *key, size_t n_key,
				   struct jinja_value *v); /* dict */
/* dict <- all of other's members, replacing. */
struct jinja_value *jinja_dict_update(struct jinja_scratch *s, struct jinja_value *dict,
				      const struct jinja_value *other);
const struct jinja_value *jinja_dict_get(const struct jinja_value *dict, const char *key); /* NULL: none */

/*
 * Render with the members of the dict globals as variables. -EINVAL: the template failed or refused (raise_exception): err has
 * its words, with the line. -E2BIG: a limit was reached: err says which, and the line.
 */
int jinja_render(const struct jinja *t, struct jinja_scratch *s, const struct jinja_value *globals,
		 struct jinja_output *out, char *err, size_t err_len);

#endif
