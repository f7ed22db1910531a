/*
 * A prompt's bytes -> a request's tokens. Short prompts are done by the leader on the spot; longer ones by one helper thread,
 * because tokenizing them would take longer than a step may wait. Both work on a private copy of the client's bytes.
 */
#ifndef GYRE_DAEMON_INTAKE_PROMPT_H
#define GYRE_DAEMON_INTAKE_PROMPT_H

#include "daemon/intake/chat.h"
#include "daemon/intake/validate.h"
#include "daemon/text/text.h"

#include <pthread.h>

#define PROMPT_INLINE_MAX 4096u /* bytes that the leader tokenizes itself: tens of microseconds */
#define PROMPT_JOB_MAX    4u    /* long prompts in the helper's hands; others wait in their SQ */

struct prompt_reader {
	const struct vocab *vocab;
	struct vocab_scratch *scratch;
	struct chat_reader *chat; /* the helper's; a leader reads no chats */
};

/*
 * data[n] -> request->token, n_prompt, n_score, as its op and flags say. 0, or -errno with words in the request. No allocation. The
 * text is wiped, here and wherever it was on its way: what a user wrote does not stay.
 */
int prompt_read(struct prompt_reader *p, struct request *r, const struct geometry *g, uint8_t *data, uint32_t n,
		uint32_t split);

enum prompt_job_state { PROMPT_JOB_FREE, PROMPT_JOB_QUEUED, PROMPT_JOB_DONE };

struct prompt_job {
	uint32_t state; /* atomic; the helper stores DONE (release), the leader the others */
	struct request *request;
	struct geometry geometry;
	uint8_t *data; /* [text_max] */
	uint32_t n, split;
	int res;
};

struct prompt_helper {
	struct prompt_reader reader;
	struct chat_reader chat;
	struct prompt_job job[PROMPT_JOB_MAX];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool is_running, is_stopping;
	uint32_t next; /* whose turn it is; the helper's own */
	int wake_fd;   /* the leader's own eventfd */
};

/* For texts of up to bytes_max. */
int prompt_reader_init(struct prompt_reader *p, const struct vocab *v, size_t bytes_max);
void prompt_reader_deinit(struct prompt_reader *p);
/* chat NULL: there is no template. */
int prompt_helper_init(struct prompt_helper *h, const struct vocab *v, const struct chat *chat, uint32_t text_max,
		       int wake_fd);
void prompt_helper_deinit(struct prompt_helper *h);

/* A job whose data the caller fills before prompt_helper_submit; NULL: all are in use. */
struct prompt_job *prompt_helper_get(struct prompt_helper *h);
void prompt_helper_submit(struct prompt_helper *h, struct prompt_job *job);
/* A finished job, or NULL; prompt_helper_put gives it back. */
struct prompt_job *prompt_helper_finished(struct prompt_helper *h);
void prompt_helper_put(struct prompt_job *job);

#endif
