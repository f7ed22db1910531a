/*
 * soak SECONDS [REPLICAS]: hostile and honest clients at a live gyred on a tiny model. Each honest one asks the same again and again and
 * compares every bit with what it was told when it was alone; the hostile ones do all that tests/util/hostile.h knows, and are killed
 * at random instants. In the end every session, request, block and descriptor must be back. Prints a line every ten seconds.
 */
#include "tests/daemon/appliance.h"
#include "tests/util/hostile.h"

#include <dirent.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define N_HOSTILE 4
#define N_HONEST  3
#define N_TOKEN   50
#define WAIT_NS   60000000000ull

struct stream {
	int32_t token[N_TOKEN];
	float logprob[N_TOKEN];
};

static char dir[64], sock[96], model[96];

static __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("soak: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static pid_t start_gyred(char *replicas)
{
	char *argv[] = { (char *)"gyred",
			 (char *)"--model",
			 model,
			 (char *)"--socket",
			 sock,
			 (char *)"--draft-min",
			 (char *)"3",
			 (char *)"--kv-bytes",
			 (char *)"2M",
			 (char *)"--replicas",
			 replicas,
			 NULL };
	char path[4096];
	const char *build = getenv("BUILD");
	pid_t pid;

	snprintf(path, sizeof(path), "%s/gyred", build ? build : "build");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(path, argv);
		die("%s: %s", path, strerror(errno));
	}
	return pid;
}

static struct gyre *connect_to(void)
{
	struct gyre *g;

	for (int i = 0; i < 1000; i++) {
		if (gyre_connect(&g, sock, NULL) == 0)
			return g;
		usleep(10000);
	}
	die("gyred does not answer");
}

/* One question of kind 0 … 2: greedy, sampled, long enough for many chunks. */
static void ask(struct gyre *g, int kind, struct stream *s)
{
	const struct gyre_options sampled = { .temperature = 1, .top_p = 0.9f, .seed = 3 };
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	char text[600];
	int n = 0, more = 1;

	memset(text, 'a', sizeof(text));
	memset(s, 0, sizeof(*s));
	if (gyre_prep_generate(g, sqe, text, kind == 2 ? sizeof(text) : 20, N_TOKEN) < 0 ||
	    (kind == 1 && gyre_sqe_set_options(g, sqe, &sampled, NULL, NULL) < 0))
		die("cannot prepare");
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	gyre_submit(g);
	while (more) {
		const struct gyre_cqe *cqe;
		int r = gyre_wait_cqe(g, &cqe, WAIT_NS);

		if (r < 0 || cqe->res < 0)
			die("an honest request ended with %s", strerror(r < 0 ? -r : -cqe->res));
		more = cqe->flags & GYRE_CQE_MORE;
		if (more && cqe->token >= 0 && n < N_TOKEN) {
			s->token[n] = cqe->token;
			s->logprob[n++] = cqe->logprob;
		}
		gyre_cqe_seen(g, cqe);
	}
}

static __attribute__((noreturn)) void be_honest(const struct stream *want, uint64_t seed)
{
	struct stream got;

	for (;;) {
		struct gyre *g = connect_to();

		for (uint32_t i = hostile_random(&seed, 20); i--;) {
			int kind = (int)hostile_random(&seed, 3);

			ask(g, kind, &got);
			if (memcmp(&got, &want[kind], sizeof(got)))
				die("a stream of kind %d differs", kind);
		}
		gyre_close(g);
	}
}

static pid_t spawn(int i, const struct stream *want, uint64_t seed)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (i < N_HONEST)
		be_honest(want, seed);
	for (;;)
		hostile_act(sock, &seed, 1000);
}

static int count_fds(pid_t pid)
{
	char path[64];
	DIR *d;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		die("gyred has ended");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static uint64_t stat_of(struct gyre *g, const char *key)
{
	static char text[65536];
	char word[64];
	const char *at;

	snprintf(word, sizeof(word), "\"%s\":", key);
	if (gyre_query_stats(g, text, sizeof(text)) < 0 || !(at = strstr(text, word)))
		die("no statistics");
	return strtoull(at + strlen(word), NULL, 10);
}

static void report(struct gyre *g, double left)
{
	printf("%.0f s left: %llu requests, %llu refused, %llu tokens, %llu preempted, %llu sessions\n", left,
	       (unsigned long long)stat_of(g, "requests"), (unsigned long long)stat_of(g, "refused"),
	       (unsigned long long)stat_of(g, "tokens_generated"), (unsigned long long)stat_of(g, "preempted"),
	       (unsigned long long)stat_of(g, "sessions"));
	fflush(stdout);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Kills a hostile client now and then, and another takes its place; an honest one that ends has found something. */
static void run(struct gyre *g, const struct stream *want, double seconds)
{
	pid_t child[N_HONEST + N_HOSTILE], ended;
	double end = now_s() + seconds, next = now_s();
	uint64_t seed = (uint64_t)time(NULL);
	int status;

	printf("seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < N_HONEST + N_HOSTILE; i++)
		child[i] = spawn(i, want, seed + (uint64_t)i);
	while (now_s() < end) {
		int i = N_HONEST + (int)hostile_random(&seed, N_HOSTILE);

		usleep(hostile_random(&seed, 20000));
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
		child[i] = spawn(i, want, seed);
		for (int k = 0; k < N_HONEST; k++)
			if ((ended = waitpid(child[k], &status, WNOHANG)) > 0)
				die("honest client %d ended", k);
		if (now_s() >= next) {
			report(g, end - now_s());
			next += 10;
		}
	}
	for (int i = 0; i < N_HONEST + N_HOSTILE; i++) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
}

static void expect_all_back(struct gyre *g, pid_t gyred, int n_fd)
{
	for (int i = 0; i < 1000; i++) {
		if (stat_of(g, "sessions") == 1 && stat_of(g, "live") == 0 && count_fds(gyred) == n_fd &&
		    stat_of(g, "kv_blocks_free") == stat_of(g, "kv_blocks"))
			return;
		usleep(10000);
	}
	die("left behind: %llu sessions, %llu requests, %d descriptors (%d before), %llu of %llu blocks free",
	    (unsigned long long)stat_of(g, "sessions") - 1, (unsigned long long)stat_of(g, "live"), count_fds(gyred),
	    n_fd, (unsigned long long)stat_of(g, "kv_blocks_free"), (unsigned long long)stat_of(g, "kv_blocks"));
}

int main(int argc, char **argv)
{
	static struct stream want[3];
	struct gyre *g;
	int status, n_fd;
	pid_t gyred;

	strcpy(dir, "/tmp/gyre-soak-XXXXXX");
	if (!mkdtemp(dir))
		die("%s: %s", dir, strerror(errno));
	snprintf(sock, sizeof(sock), "%s/s", dir);
	snprintf(model, sizeof(model), "%s/m.gguf", dir);
	if (tiny_write(model, &tiny_served) < 0)
		die("cannot write %s", model);
	gyred = start_gyred(argc > 2 ? argv[2] : (char *)"1");
	g = connect_to();
	for (int kind = 0; kind < 3; kind++)
		ask(g, kind, &want[kind]);
	n_fd = count_fds(gyred);
	run(g, want, argc > 1 ? atof(argv[1]) : 60);
	expect_all_back(g, gyred, n_fd);
	report(g, 0);
	gyre_close(g);
	kill(gyred, SIGTERM);
	waitpid(gyred, &status, 0);
	unlink(model);
	rmdir(dir);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("gyred ended with %d", status);
	puts("soak: everything came back, no stream changed");
	return 0;
}
