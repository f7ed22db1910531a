#include "daemon/control/rows.h"
#include "daemon/util/counter.h"
#include "daemon/util/writer.h"
#include "shm/atomic.h"

#define ROW_BYTES  352u /* nine numbers of 20 digits at most, and a name all of whose bytes are spelled */
#define TAIL_BYTES 64u

static void put_row(struct writer *w, const struct connection *n, const char *comma)
{
	const struct session *s = n->session;
	const struct abi_daemon_page *page = s->region.daemon;
	uint64_t n_request = counter_read(&page->n_request), n_done = counter_read(&s->n_done);

	writer_put(w, "%s[%u,%u,\"", comma, s->number, (unsigned)n->uid);
	writer_put_quoted(w, s->served ? s->served->name : "");
	writer_put(w, "\",%llu,%llu,%llu,%llu,%llu,%u,%llu]", (unsigned long long)n_request,
		   (unsigned long long)(n_request > n_done ? n_request - n_done : 0),
		   (unsigned long long)counter_read(&page->n_token_prompt),
		   (unsigned long long)counter_read(&page->n_token_generated),
		   (unsigned long long)counter_read(&page->n_cancelled), connections_unread_of(s),
		   (unsigned long long)region_bytes(&s->region.layout));
}

size_t rows_write(const struct connections *t, char *text, size_t n)
{
	struct writer w = { .text = text, .size = n };
	const char *comma = "";
	uint32_t n_out = 0;

	writer_put(&w, "\"session_columns\":[\"session\",\"uid\",\"model\",\"requests\",\"live\",\"prompt_tokens\","
		       "\"generated_tokens\",\"cancelled\",\"unread\",\"bytes\"],\"session_rows\":[");
	if (w.is_cut || n - w.n < TAIL_BYTES)
		return 0;
	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		if (t->at[i].fd < 0 || !t->at[i].session)
			continue;
		if (n - w.n < ROW_BYTES + TAIL_BYTES) {
			n_out++;
			continue;
		}
		put_row(&w, &t->at[i], comma);
		comma = ",";
	}
	writer_put(&w, "],\"session_rows_left_out\":%u", n_out);
	return w.n;
}
