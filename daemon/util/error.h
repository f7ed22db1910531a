/*
 * A failure in one line that names the remedy. The code travels as the return value (negative errno, forwarded
 * unchanged); the text is for a person. Start-up and loading only: the step path returns bare codes.
 */
#ifndef GYRE_DAEMON_UTIL_ERROR_H
#define GYRE_DAEMON_UTIL_ERROR_H

struct error {
	char text[512];
};

/* Writes the text (cut to fit, control bytes shown as '?') and returns code. e may be NULL. */
int error_set(struct error *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same of a system call that failed: "CALL: what the kernel said; the remedy for that". */
int error_call(struct error *e, int code, const char *call);
/* The remedy for a system call that failed with -code: the words behind the semicolon. */
const char *error_remedy(int code);

#endif
