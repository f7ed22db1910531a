/*
 * What `gyre top` shows, as lines of text: what lies between two readings of a daemon's statistics, in rows and their order. Knows no
 * terminal.
 */
#ifndef GYRE_TOOLS_TOP_VIEW_H
#define GYRE_TOOLS_TOP_VIEW_H

#include "tools/tool.h"

#define TOP_ROW_MAX 512u /* sessions of a daemon */

enum top_order { TOP_TOKENS, TOP_PROMPT, TOP_REQUESTS, TOP_LIVE, TOP_ID, TOP_ORDER_MAX };

/* A session, or all sessions of a user. */
struct top_row {
	const char *model;           /* of a session; the statistics' */
	uint32_t id, uid, n_session; /* id: of the session, or the uid */
	double live, unread;
	double requests, prompt, tokens; /* so far */
	double request_rate, prompt_rate, token_rate;
};

struct top_sample {
	double at_s;
	json_t *all;       /* the statistics; NULL: none yet */
	uint32_t n, n_out; /* sessions; those that the daemon had no room for */
	struct top_row row[TOP_ROW_MAX];
};

struct top_view {
	struct top_sample before, now;
	enum top_order order;
	bool by_session;
	uint32_t n; /* rows shown, by order: of sessions, or of users */
	struct top_row row[TOP_ROW_MAX];
};

/* TOP_ORDER_MAX: there is none of this name. */
enum top_order top_order_of(const char *name);
/* The next reading. An exit code; an error was printed. */
int top_read(struct top_view *v, const struct args *a);
/* The rows, after a reading, or another order. */
void top_sort(struct top_view *v);
/* The i-th line, in at most `width` columns. false: there are no more. */
bool top_line(const struct top_view *v, uint32_t i, char *line, uint32_t width);
void top_free(struct top_view *v);

#endif
