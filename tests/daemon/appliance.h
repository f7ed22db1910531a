/*
 * The whole daemon inside a test: a tiny random model with a byte-level vocabulary, the real control loop in a thread, libgyre
 * on its socket. The leader is a thread too, or the test itself calls engine_step.
 */
#ifndef GYRE_TESTS_DAEMON_APPLIANCE_H
#define GYRE_TESTS_DAEMON_APPLIANCE_H

#include "client/gyre.h"
#include "daemon/control/listen.h"
#include "daemon/daemon.h"
#include "daemon/util/counter.h"
#include "tests/util/tiny.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cmocka.h>

struct appliance {
	struct daemon d;
	char dir[64], model[96], socket[96];
	struct listener listener;
	int signal_fd[2]; /* a pipe in place of the signalfd */
	struct control *loop;
	pthread_t control;
};

static inline void *appliance_control(void *arg)
{
	struct appliance *a = arg;
	const struct control_parts parts = daemon_parts(&a->d);
	struct error e = { "" };

	if (control_run(a->loop, &parts, &e) < 0) {
		fprintf(stderr, "control: %s\n", e.text);
		abort();
	}
	return NULL;
}

/* `extra`: more options of gyred, up to a NULL. has_leader: steps are made by a thread, as in gyred. */
static inline void appliance_open(struct appliance *a, const struct tiny *model, char *const *extra, bool has_leader)
{
	char *argv[24] = { (char *)"gyred", (char *)"--model", a->model, (char *)"--socket", a->socket };
	struct error e = { "" };
	struct config c;
	int n = 5;

	if (a->loop)
		fail_msg("a case that failed has left its daemon running");
	memset(a, 0, sizeof(*a));
	strcpy(a->dir, "/tmp/gyre-test-XXXXXX");
	assert_non_null(mkdtemp(a->dir));
	snprintf(a->socket, sizeof(a->socket), "%s/s", a->dir);
	snprintf(a->model, sizeof(a->model), "%s/m.gguf", a->dir);
	assert_int_equal(tiny_write(a->model, model), 0);
	for (; extra && *extra; extra++)
		argv[n++] = *extra;
	assert_int_equal(config_parse(&c, n, argv, &e), CONFIG_RUN);
	if (daemon_open(&a->d, &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(listen_open(&a->listener, a->socket, NULL, &e), 0);
	if (has_leader)
		assert_int_equal(daemon_start(&a->d), 0);
	assert_int_equal(pipe(a->signal_fd), 0);
	assert_int_equal(control_open(&a->loop, a->listener.fd, a->signal_fd[0], &e), 0);
	assert_int_equal(pthread_create(&a->control, NULL, appliance_control, a), 0);
}

/* Puts a NaN into a tensor that is loaded: a vector's first number, or the scale of a row's first block (of the types with one f16 a row
 * in front of the panel). Files with one are refused, and memory can fail. */
static inline void appliance_spoil(struct appliance *a, const char *tensor, uint32_t row)
{
	const struct tensor *t = weights_find(a->d.models.served[0].weights[0], tensor);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	assert_non_null(t);
	for (const struct tensor_part *p = t->part; p < t->part + t->n_part; p++) {
		uint8_t *at = p->data;

		if (row < p->row0 || row - p->row0 >= p->n_row)
			continue;
		row -= p->row0;
		if (!t->is_vector)
			at += row / PANEL_ROWS * PANEL_ROWS * quant_row_bytes(t->type, p->n_col) + row % PANEL_ROWS * 2;
		assert_int_equal(mprotect(at - (uintptr_t)at % page, 2 * page, PROT_READ | PROT_WRITE), 0);
		memcpy(at, t->is_vector ? "\x00\x00\xc0\x7f" : "\x00\x7e", t->is_vector ? 4 : 2);
		return;
	}
	fail_msg("%s has no row %u", tensor, row);
}

/* What SIGTERM is to gyred. */
static inline void appliance_signal(struct appliance *a)
{
	const struct signalfd_siginfo s = { .ssi_signo = SIGTERM };

	assert_int_equal(write(a->signal_fd[1], &s, sizeof(s)), sizeof(s));
}

static inline void appliance_close(struct appliance *a)
{
	appliance_signal(a);
	pthread_join(a->control, NULL);
	control_close(a->loop);
	a->loop = NULL;
	daemon_stop(&a->d);
	daemon_close(&a->d);
	listen_close(&a->listener);
	close(a->signal_fd[0]);
	close(a->signal_fd[1]);
	unlink(a->model);
	rmdir(a->dir);
}

/* What the prefix cache alone holds is as good as free. */
static inline uint32_t appliance_free_blocks(const struct engine *e)
{
	return counter_read32(&e->kv.book->n_free) + counter_read32(&e->prefix.n_idle);
}

static inline uint32_t appliance_free_slots(const struct engine *e)
{
	return counter_read32(&e->kv.book->n_slot_free) + counter_read32(&e->prefix.n_slot);
}

static inline struct gyre *appliance_connect(const struct appliance *a, const struct gyre_params *p)
{
	struct gyre *g = NULL;

	assert_int_equal(gyre_connect(&g, a->socket, p), 0);
	return g;
}

#endif
