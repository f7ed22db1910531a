#include "tools/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FENCE   "\"\"\""
#define N_FENCE 3u

static int append(struct message *m, const char *p, size_t n)
{
	char *text = realloc(m->text, m->n + n + 1);

	if (!text)
		return -ENOMEM;
	memcpy(text + m->n, p, n);
	m->text = text;
	m->n += n;
	text[m->n] = 0;
	return 0;
}

static bool ends_in_fence(const char *line, size_t n)
{
	return n >= N_FENCE && !memcmp(line + n - N_FENCE, FENCE, N_FENCE);
}

/* The fence's own line, if it stands alone on one, is no part of the text. */
static int add_to_block(struct message *m, const char *line, size_t n, bool is_first)
{
	bool is_last;
	int r = 0;

	while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	is_last = ends_in_fence(line, n);
	if (is_last)
		n -= N_FENCE;
	if (is_last && n && line[n - 1] == '\n') /* of a paste */
		n--;
	if (!is_first && m->has_line && !(is_last && !n))
		r = append(m, "\n", 1);
	if (r == 0)
		r = append(m, line, n);
	m->has_line = !is_first || n;
	return r < 0 ? r : !is_last;
}

int message_add(struct message *m, const char *line, size_t n)
{
	bool goes_on;
	int r;

	if (m->is_block)
		return add_to_block(m, line, n, false);
	if (!m->has_line && n >= N_FENCE && !memcmp(line, FENCE, N_FENCE)) {
		m->is_block = true;
		/* A paste may bring the line after the fence along. */
		r = line[N_FENCE] == '\n' && n > N_FENCE;
		return add_to_block(m, line + N_FENCE + r, n - N_FENCE - (size_t)r, true);
	}
	goes_on = n && line[n - 1] == '\\';
	r = m->has_line ? append(m, "\n", 1) : 0;
	if (r == 0)
		r = append(m, line, n - goes_on);
	m->has_line = true;
	return r < 0 ? r : goes_on;
}

void message_clear(struct message *m)
{
	free(m->text);
	memset(m, 0, sizeof(*m));
}
