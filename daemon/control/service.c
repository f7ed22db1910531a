#include "daemon/control/service.h"
#include "shm/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

int service_take_socket(struct error *e)
{
	int n = sd_listen_fds(1);

	if (n > 1)
		return error_set(e, -EINVAL, "the service manager hands over %d sockets; gyred listens on one", n);
	return n == 1 ? SD_LISTEN_FDS_START : -ENOENT;
}

void service_say(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sd_notifyf(0, "STATUS=%s", text);
}

void service_say_ready(void)
{
	sd_notify(0, "READY=1\nSTATUS=serving");
}

void service_say_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading the configuration",
		   (unsigned long long)clock_ns() / 1000);
}

void service_say_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=finishing what runs");
}

uint64_t service_watchdog_ns(void)
{
	uint64_t us = 0;

	return sd_watchdog_enabled(0, &us) > 0 ? us * 1000 : 0;
}

void service_say_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}
