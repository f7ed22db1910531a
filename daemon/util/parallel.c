#include "daemon/util/parallel.h"

#include <pthread.h>

struct parallel_call {
	void (*fn)(void *arg, int i);
	void *arg;
	int i;
	pthread_t thread;
};

static void *call(void *arg)
{
	struct parallel_call *c = arg;

	c->fn(c->arg, c->i);
	return NULL;
}

void parallel_run(int n, void (*fn)(void *arg, int i), void *arg)
{
	struct parallel_call c[PARALLEL_MAX];
	int n_started = 1;

	for (; n_started < n && n_started < PARALLEL_MAX; n_started++) {
		c[n_started] = (struct parallel_call){ fn, arg, n_started, 0 };
		if (pthread_create(&c[n_started].thread, NULL, call, &c[n_started]))
			break;
	}
	fn(arg, 0);
	for (int i = 1; i < n_started; i++)
		pthread_join(c[i].thread, NULL);
}
