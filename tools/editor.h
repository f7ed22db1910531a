/*
 * Lines typed at a terminal: libedit's emacs keys (or those of ~/.editrc), UTF-8, history over sessions. Only editor.c includes
 * libedit's header. A paste that the terminal brackets is text, line ends and all, until Enter is pressed; and nothing is cut, since
 * the kernel's line of 4,095 bytes is never used, not while an answer runs either.
 *
 * One at a time. Its signals: SIGWINCH, and SIGTSTP while it reads; a Ctrl-C is left to the program's own handler of SIGINT.
 */
#ifndef GYRE_TOOLS_EDITOR_H
#define GYRE_TOOLS_EDITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Where this file edits no lines, the kernel does, and drops the bytes beyond so many: a line of just that length shows it. */
#define TTY_LINE_MAX 4095
/* Says so. TOOL_FAILED. */
int editor_refuse_cut(void);

struct editor;

enum editor_outcome { EDITOR_LINE, EDITOR_END, EDITOR_INTERRUPT };

/* stdin, echoed to out. NULL: it is no terminal on which lines can be edited. */
struct editor *editor_open(FILE *out, bool has_history);
/* Restores the terminal. NULL does nothing. */
void editor_close(struct editor *e);

/* *line: n bytes without the line end, valid until the next call. EDITOR_INTERRUPT: answer_take_interrupt() was true. */
enum editor_outcome editor_read(struct editor *e, const char *prompt, const char **line, size_t *n);
/* A message that will be there again with the up key, here and in later sessions. */
void editor_remember(struct editor *e, const char *message);

#endif
