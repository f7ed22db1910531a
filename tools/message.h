/*
 * Lines -> one message. A line that ends in \ goes on with the next; """ at its beginning opens a block of lines that """ at the end
 * of one closes. A paste in one piece is one line here, whatever line ends it has in it.
 */
#ifndef GYRE_TOOLS_MESSAGE_H
#define GYRE_TOOLS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

struct message {
	char *text; /* NUL-terminated; NULL: empty */
	size_t n;
	bool is_block, has_line;
};

/* 1: it goes on with another line. 0: it is whole. -ENOMEM. */
int message_add(struct message *m, const char *line, size_t n);
/* Empty again. */
void message_clear(struct message *m);

#endif
