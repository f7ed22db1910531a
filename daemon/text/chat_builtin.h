/* The templates of daemon/text/templates/, which the build makes a table of (tools/embed). */
#ifndef GYRE_DAEMON_TEXT_CHAT_BUILTIN_H
#define GYRE_DAEMON_TEXT_CHAT_BUILTIN_H

struct chat_builtin {
	const char *name, *text;
};

extern const struct chat_builtin chat_builtins[]; /* by name; the last has none */

#endif
