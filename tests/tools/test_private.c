/*
 * Why: without a daemon of the host's the tool starts one of its own, and nobody knows of it but the tool: however that ends, the daemon ends,
 * and its directory, its model and the user's streams are left as they were.
 */
#include "tests/tools/verbs.h"
#include "tests/util/testmodel.h"

#include <dirent.h>

/* Directories of private daemons in the test's own, where XDG_RUNTIME_DIR puts them. */
static int count_private(void)
{
	DIR *d = opendir(a.dir);
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d)))
		n += !strncmp(e->d_name, "gyre-", 5) && strlen(e->d_name) == 11;
	closedir(d);
	return n;
}

static void a_private_daemon_leaves_nothing(void **state)
{
	int before = count_private();

	(void)state;
	expect("XDG_RUNTIME_DIR= $G run --socket $DIR/none --model $MODEL --max 5 hi", 0);
	assert_true(strlen(out) > 1);
	assert_string_equal(err, "");
	expect("$G run --model $MODEL --max 5 hi", 0);
	assert_non_null(strstr(err, "--model is not used"));
	expect("$G run --model $MODEL --max 5 hi 2>&-",
	       0); /* nor does that go to the daemon, on a socket with number 2 */
	assert_int_equal(count_private(), before);
}

/* Whichever are closed, and on a root without /dev/null: nobody else's descriptor takes their place. Only an answer has to be written. */
static void closed_streams_are_nobody_elses(void **state)
{
	static const char bare[] = "unshare -m sh -c 'mount -t tmpfs none /dev && eval \"$LINE\"'";
	int before = count_private();

	(void)state;
	for (int w = 0; w < 2; w++) {
		if (w && sh("unshare -m sh -c 'mount -t tmpfs none /dev'") != 0) {
			puts("skip: /dev cannot be taken away");
			continue;
		}
		for (int i = 0; i < 16; i++) {
			int closed = i / 2;
			char line[256];

			snprintf(line, sizeof(line), "$G run %s --model $MODEL --max 5 hi%s%s%s",
				 i % 2 ? "" : "--socket $DIR/none", closed & 1 ? " <&-" : "", closed & 2 ? " >&-" : "",
				 closed & 4 ? " 2>&-" : "");
			setenv("LINE", line, 1);
			expect(w ? bare : line, closed & 2 ? 1 : 0);
			assert_int_equal(strlen(out) > 1, !(closed & 2));
			assert_int_equal(strstr(err, "cannot write") != NULL, (closed & 6) == 2);
			assert_int_equal(strstr(err, "is not used") != NULL, i % 2 && !(closed & 4));
			assert_int_equal(count_private(), before);
		}
	}
}

/* However the tool ends: killed while it loads and while it answers, and by a reader that has seen enough. */
static void a_private_daemon_outlives_nobody(void **state)
{
	static const char *const line[] = {
		"$G run --socket $DIR/none --model $REAL --raw --max 4000 'Once upon a time' >$DIR/said & p=$!; "
		"while ! test -s $DIR/said; do kill -0 $p || exit 9; sleep 0.05; done; kill -9 $p; rm $DIR/said",
		"$G run --socket $DIR/none --model $REAL --max 4000 hi & p=$!; "
		"while ! ls -d $DIR/gyre-??????; do kill -0 $p || exit 9; done; kill -INT $p; kill -9 $p",
		"$G run --socket $DIR/none --model $REAL --raw --max 400 'One.\nTwo.\nThree.\n' | head -c 1 >/dev/null"
	};
	const char *model = testmodel_path();
	int before = count_private(), wait_ms = 300000;

	(void)state;
	if (!model)
		skip();
	setenv("REAL", model, 1);
	for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i++) {
		expect(line[i], 0);
		while (count_private() != before && wait_ms-- > 0)
			usleep(1000);
		if (count_private() != before)
			fail_msg("a directory stays behind: %s", line[i]);
	}
}

/* Ctrl-C ends the answer, and with it `run`, at once. Needs a model that talks for a while. */
static void an_interrupt_ends_the_answer(void **state)
{
	const char *model = testmodel_path();

	(void)state;
	if (!model)
		skip();
	setenv("REAL", model, 1);
	expect("$G run --socket $DIR/none --model $REAL --raw --max 4000 'Once upon a time' >$DIR/said & p=$!; "
	       "while ! test -s $DIR/said; do kill -0 $p || exit 9; sleep 0.05; done; kill -INT $p; wait $p; code=$?; "
	       "test $(wc -c <$DIR/said) -lt 8000 || code=8; rm $DIR/said; exit $code", /* half of what 4000 tokens are */
	       130);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_private_daemon_leaves_nothing),
		CASE(closed_streams_are_nobody_elses),
		CASE(a_private_daemon_outlives_nobody),
		CASE(an_interrupt_ends_the_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
