/*
 * Why: what a user writes to a model may be a password, a diagnosis or a trade. When his session has ended it must not lie in the
 * daemon's memory, where the next fault in anything that reads too far, a debugger or a core dump would find it. The test looks at
 * every readable byte of the real gyred.
 */
#include "tests/system/tinyd.h"
#include "tests/util/emulated.h"
#include "tests/util/hostile.h"
#include "tests/util/sanitized.h"

#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>

#define SECRET   "Xq7vKzW2pL9m" /* no piece of it stands in any program */
#define N_SECRET (sizeof(SECRET) - 1)
#define PIECE    (1u << 20)

static struct tinyd d;
static uint8_t secret[N_SECRET];
static uint32_t ids[64];
static size_t n_id;

/* Written so that this program's own image holds it nowhere: the daemon is not this program, but qemu or a debugger may share pages. */
static void spell_secret(void)
{
	memcpy(secret, SECRET, N_SECRET);
}

/* ---- looking ---- */

struct found {
	unsigned text, tokens;
	char where[256];
};

static unsigned count_in(const uint8_t *p, size_t n, const void *what, size_t n_what)
{
	unsigned count = 0;

	for (const uint8_t *at = p; (at = memmem(at, n - (size_t)(at - p), what, n_what)); at++)
		count++;
	return count;
}

static void look_at(struct found *f, int fd, uint64_t from, uint64_t to, const char *line)
{
	static uint8_t piece[PIECE + 4096];
	size_t overlap = sizeof(ids);

	for (uint64_t at = from; at < to; at += PIECE) {
		ssize_t n = pread(fd, piece, PIECE + overlap, (off_t)at);
		unsigned text, tokens;

		if (n <= 0)
			continue;
		n = (uint64_t)n > to - at ? (ssize_t)(to - at) : n;
		text = count_in(piece, (size_t)n, secret, N_SECRET);
		tokens = count_in(piece, (size_t)n, ids, n_id * sizeof(ids[0]));
		if (text || tokens)
			snprintf(f->where, sizeof(f->where), "%.200s", line);
		f->text += text;
		f->tokens += tokens;
	}
}

/* All that the daemon has mapped and can read. */
static struct found look(void)
{
	char path[64], line[512], rights[8];
	struct found f = { 0 };
	unsigned long long from, to;
	FILE *maps;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)d.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)d.pid);
	maps = fopen(path, "r");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%llx-%llx %7s", &from, &to, rights) == 3 && rights[0] == 'r' && !strstr(line, "[v"))
			look_at(&f, fd, from, to, line);
	fclose(maps);
	close(fd);
	return f;
}

/* ---- saying ---- */

static int read_to_end(struct gyre *g)
{
	const struct gyre_cqe *cqe;
	bool has_more;
	int r;

	do {
		r = gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS);
		if (r < 0)
			return r;
		r = cqe->res;
		has_more = cqe->flags & GYRE_CQE_MORE;
		gyre_cqe_seen(g, cqe);
	} while (has_more);
	return r;
}

/* A text of n bytes with the secret at its end. */
static char *text_of(size_t n)
{
	char *text = malloc(n);

	memset(text, 'z', n);
	memcpy(text + n - N_SECRET, secret, N_SECRET);
	return text;
}

static int ask(struct gyre *g, size_t n, const char *stop, uint32_t flags)
{
	const struct gyre_options o = { .n_stop = stop != NULL };
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	char *text = text_of(n);
	int r = gyre_prep_generate(g, sqe, text, n, 4);

	free(text);
	assert_int_equal(r, 0);
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, NULL, &stop), 0);
	sqe->flags |= (uint8_t)flags;
	assert_int_equal(gyre_submit(g), 1);
	return read_to_end(g);
}

static void learn_ids(struct gyre *g)
{
	const struct gyre_cqe *cqe;
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	const uint32_t *id;

	assert_int_equal(gyre_prep_tokenize(g, sqe, secret, N_SECRET), 0);
	sqe->flags |= GYRE_SQE_NO_BOS;
	assert_int_equal(gyre_submit(g), 1);
	assert_int_equal(gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS), 0);
	id = gyre_cqe_ids(g, cqe, &n_id);
	assert_true(n_id >= 6 && n_id <= 64);
	memcpy(ids, id, n_id * sizeof(ids[0]));
	gyre_cqe_seen(g, cqe);
}

/* Everything that carries a user's text: short and long, chat, stop strings, scores, what is refused and what is cancelled. */
static void say_everything(void)
{
	struct gyre *g = tinyd_connect(&d, NULL);
	struct gyre_sqe *sqe;
	uint64_t space[64];
	struct gyre_chat chat = { .data = space, .size = sizeof(space) };
	char *text = text_of(600), json[256];

	learn_ids(g);
	assert_true(ask(g, 100, (const char[]){ "Xq7vKzW2pL9m" }, GYRE_SQE_IGNORE_EOS) >= 0);
	ask(g, 900, NULL, 0);
	assert_int_equal(ask(g, 20000, NULL, 0), -E2BIG); /* by the helper */
	snprintf(json, sizeof(json), "{\"reasoning_content\": \"%.*s\"}", (int)N_SECRET, secret);
	assert_int_equal(gyre_chat_set_variables(&chat, "{\"continue_final_message\": true}", 32), 0);
	assert_int_equal(
		gyre_chat_append_json(&chat, GYRE_ROLE_ASSISTANT, (const char *)secret, N_SECRET, json, strlen(json)),
		0);
	sqe = gyre_get_sqe(g);
	assert_int_equal(gyre_prep_generate(g, sqe, chat.data, chat.n, 4), 0);
	sqe->flags |= GYRE_SQE_CHAT;
	assert_int_equal(gyre_submit(g), 1);
	assert_true(read_to_end(g) >= 0);
	snprintf(json, sizeof(json), "{\"role\": 7, \"x\": \"%.*s\"}", (int)N_SECRET, secret); /* refused */
	chat.n = 0;
	assert_int_equal(gyre_chat_append_json(&chat, GYRE_ROLE_USER, NULL, 0, json, strlen(json)), 0);
	sqe = gyre_get_sqe(g);
	assert_int_equal(gyre_prep_generate(g, sqe, chat.data, chat.n, 4), 0);
	sqe->flags |= GYRE_SQE_CHAT;
	assert_int_equal(gyre_submit(g), 1);
	assert_int_equal(read_to_end(g), -EINVAL);
	sqe = gyre_get_sqe(g);
	assert_int_equal(gyre_prep_score(g, sqe, text, 600, 300), 0);
	assert_int_equal(gyre_submit(g), 1);
	assert_true(read_to_end(g) >= 0);
	sqe = gyre_get_sqe(g); /* goes away in the middle */
	assert_int_equal(gyre_prep_generate(g, sqe, text, 600, 300), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	assert_int_equal(gyre_submit(g), 1);
	free(text);
	gyre_close(g);
}

/* Until it holds nothing of the secret, or for minutes: sessions end a moment after their clients, and a cancelled request after a step. */
static struct found look_when_alone(void)
{
	struct found f = { 1, 1, "" };

	for (int i = 0; i < 1000 && (f.text || f.tokens); i++) {
		f = look();
		usleep(100000);
	}
	return f;
}

/* keeps: for its user gyred keeps what was asked, to answer the same sooner, and what was answered, to guess by. */
static void start(const char *dumps, bool keeps)
{
	char *argv[] = { (char *)"--threads",
			 (char *)"2",
			 (char *)"--core-dumps",
			 (char *)dumps,
			 (char *)"--prefix-cache",
			 (char *)(keeps ? "1" : "0"),
			 (char *)"--draft",
			 (char *)(keeps ? "auto" : "none"),
			 NULL };

	tinyd_start(&d, argv, NULL, NULL);
	tinyd_wait_ready(&d);
}

static void nothing_of_a_session_is_left_behind(void **state)
{
	struct gyre *g;
	struct found f;
	char *text;

	(void)state;
	if (is_sanitized("a sanitizer keeps freed memory and terabytes of shadow"))
		skip();
	start("1", false); /* so that a test of any uid may look */
	g = tinyd_connect(&d, NULL);
	learn_ids(g);
	text = text_of(100);
	assert_int_equal(gyre_prep_generate(g, gyre_get_sqe(g), text, 100, 0), 0);
	assert_int_equal(gyre_submit(g), 1);
	free(text);
	f.tokens = 0;
	for (int i = 0; i < 1000 && !f.tokens; i++)
		f = look(); /* the test finds what is there: the tokens of one that runs */
	assert_true(f.tokens > 0);
	gyre_close(g);
	say_everything();
	f = look_when_alone();
	if (f.text || f.tokens)
		fail_msg("%u times the text and %u times its tokens are left, last in %s", f.text, f.tokens, f.where);
	assert_int_equal(tinyd_stop(&d), 0);
}

/* VmFlags of the mapping whose line has `name`. */
static bool is_dumped(const char *name)
{
	char path[64], line[512];
	unsigned long long from, to;
	bool is_there = false, is_dumped = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)d.pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			is_there = strstr(line, name) != NULL;
		if (is_there && !strncmp(line, "VmFlags:", 8))
			is_dumped |= !strstr(line, " dd");
	}
	fclose(f);
	return is_dumped;
}

static void nobody(void *arg)
{
	(void)arg;
	if (setgid(65534) || setuid(65534))
		_exit(126);
}

/* What a process that is not dumpable has in /proc belongs to root: that is how it shows. */
static uid_t owner_in_proc(const char *dumps)
{
	char path[64], *argv[] = { (char *)"--threads", (char *)"1", (char *)"--core-dumps", (char *)dumps, NULL };
	struct stat st;
	struct gyre *g;

	assert_int_equal(chmod(d.dir, 0777), 0);
	tinyd_start(&d, argv, nobody, NULL);
	tinyd_wait_ready(&d);
	g = tinyd_connect(&d, NULL);
	assert_true(tinyd_generate(g, "hello", 3) >= 0);
	gyre_close(g);
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)d.pid);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(tinyd_stop(&d), 0);
	return st.st_uid;
}

static void dumps_hold_no_text_and_are_off(void **state)
{
	struct gyre *g;

	(void)state;
	if (is_emulated("a dump is"))
		skip();
	start("1", true);
	g = tinyd_connect(&d, NULL);
	assert_false(is_dumped("gyre-client"));
	assert_false(is_dumped("gyre-daemon"));
	assert_false(is_dumped("gyre-kv"));
	assert_false(is_dumped("gyre-weights"));
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
	if (getuid()) {
		puts("skip: whether gyred is dumpable shows when it runs as another uid, which needs root");
		skip();
	}
	assert_int_equal(owner_in_proc("0"), 0);
	assert_int_equal(owner_in_proc("1"), 65534);
}

/* ---- a core ---- */

static void want_core(void *arg)
{
	const struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };

	(void)arg;
	if (chdir(d.dir) || setrlimit(RLIMIT_CORE, &l))
		_exit(126);
}

static bool cores_are_files(void)
{
	char pattern[256] = "|";
	FILE *f = fopen("/proc/sys/kernel/core_pattern", "r");

	if (f) {
		(void)!fgets(pattern, sizeof(pattern), f);
		fclose(f);
	}
	if (strncmp(pattern, "core", 4) == 0)
		return true;
	printf("skip: kernel.core_pattern is %s: a core does not come here\n", pattern);
	return false;
}

/* The path of a core in the daemon's directory, "": there is none. */
static void find_core(char path[PATH_MAX])
{
	struct dirent *e;
	DIR *dir = opendir(d.dir);

	assert_non_null(dir);
	*path = 0;
	while ((e = readdir(dir)))
		if (!strncmp(e->d_name, "core", 4))
			snprintf(path, PATH_MAX, "%s/%.200s", d.dir, e->d_name);
	closedir(dir);
}

/* It is killed in the middle of a request with the secret in its prompt, its stop string and its arena. `what` is in its core, if it leaves one. */
static bool dies_with_core(const char *dumps, struct found *what)
{
	char path[PATH_MAX], build[PATH_MAX], *text = text_of(600);
	char *argv[] = { (char *)"--threads", (char *)"1", (char *)"--core-dumps", (char *)dumps, NULL };
	const char *stop = SECRET;
	const struct gyre_options o = { .n_stop = 1 };
	const struct gyre_cqe *cqe;
	struct gyre_sqe *sqe;
	struct stat st;
	struct gyre *g;
	int fd;

	assert_non_null(realpath(getenv("BUILD") ? getenv("BUILD") : "build", build));
	setenv("BUILD", build, 1); /* it is started elsewhere */
	tinyd_start(&d, argv, want_core, NULL);
	tinyd_wait_ready(&d);
	g = tinyd_connect(&d, NULL);
	learn_ids(g);
	sqe = gyre_get_sqe(g);
	assert_int_equal(gyre_prep_generate(g, sqe, text, 600, 0), 0);
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, NULL, &stop), 0);
	free(text);
	assert_int_equal(gyre_submit(g), 1);
	assert_int_equal(gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS), 0);
	kill(d.pid, SIGABRT);
	assert_int_equal(tinyd_wait(&d), -SIGABRT);
	gyre_close(g);
	find_core(path);
	if (!*path)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 100000);
	look_at(what, fd, 0, (uint64_t)st.st_size, "core");
	close(fd);
	unlink(path);
	return true;
}

static void a_core_holds_no_text(void **state)
{
	struct found f = { 0 };

	(void)state;
#ifdef GYRE_SANITIZED
	puts("skip: a sanitizer's cores hold terabytes of shadow");
	skip();
#endif
	if (is_emulated("a core is") || !cores_are_files())
		skip();
	assert_false(dies_with_core("0", &f));
	assert_true(dies_with_core("1", &f));
	if (f.text || f.tokens)
		fail_msg("the core has %u times the text and %u times its tokens", f.text, f.tokens);
}

static int setup(void **state)
{
	(void)state;
	spell_secret();
	tinyd_setup(&d, &tiny_served);
	return chmod(d.model, 0644);
}

static int teardown(void **state)
{
	(void)state;
	tinyd_teardown(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_a_session_is_left_behind),
		cmocka_unit_test(dumps_hold_no_text_and_are_off),
		cmocka_unit_test(a_core_holds_no_text),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
