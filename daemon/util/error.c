/*
 * See error.h. Names out of hostile files end up in these texts, hence the filter: a terminal must not obey them.
 */
#include "daemon/util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	for (char *p = e->text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return code;
}

const char *error_remedy(int code)
{
	switch (-code) {
	case EPERM:
	case EACCES:
	case ENOSYS:
		return "allow it in the container's seccomp profile (or the unit's SystemCallFilter=)";
	case EMFILE:
		return "raise ulimit -n (LimitNOFILE=)";
	case ENFILE:
		return "raise sysctl fs.file-max";
	case EAGAIN:
		return "raise ulimit -u (LimitNPROC=) and the cgroup's pids.max";
	case ENOMEM:
		return "free memory, or raise the cgroup's limit or ulimit -v (LimitAS=)";
	case EFBIG:
		return "raise ulimit -f (LimitFSIZE=)";
	case EINVAL:
		return "this kernel does not know it; use a newer one";
	default:
		return "errno(3) says more";
	}
}

int error_call(struct error *e, int code, const char *call)
{
	return error_set(e, code, "%s: %s; %s", call, strerror(-code), error_remedy(code));
}
