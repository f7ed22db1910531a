#include "daemon/text/chat_builtin.h"
#include "daemon/text/chat.h"

#include <stdio.h>
#include <string.h>

struct text_span chat_builtin(const char *name)
{
	for (const struct chat_builtin *b = chat_builtins; b->name; b++)
		if (!strcmp(b->name, name))
			return (struct text_span){ b->text, (uint32_t)strlen(b->text) };
	return (struct text_span){ NULL, 0 };
}

void chat_builtin_names(char *out, size_t n)
{
	size_t used = 0;

	*out = 0;
	for (const struct chat_builtin *b = chat_builtins; b->name && used < n; b++)
		used += (size_t)snprintf(out + used, n - used, "%s%s", b == chat_builtins ? "" : ", ", b->name);
}
