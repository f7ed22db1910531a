/*
 * Why: the tool is what people and scripts meet first. Each verb is run against a daemon on a tiny model, as a script would: answers
 * alone on stdout, plain when piped, JSON that parses, exit codes as documented; and against model files bent at random.
 */
#include "tests/daemon/appliance.h"
#include "tests/util/hostile.h"
#include "tests/util/split.h"
#include "tests/util/testmodel.h"

#include <dirent.h>
#include <jansson.h>
#include <sys/wait.h>
#include <time.h>

static struct appliance a;
static char out[65536], err[65536];

static int setup(void **state)
{
	(void)state;
	appliance_open(&a, &tiny_served, NULL, true);
	setenv("GYRE_SOCKET", a.socket, 1);
	setenv("XDG_RUNTIME_DIR", a.dir, 1);
	setenv("DIR", a.dir, 1);
	setenv("MODEL", a.model, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	appliance_close(&a);
	return 0;
}

static void read_file(const char *name, char *text, size_t size)
{
	char path[160];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", a.dir, name);
	f = fopen(path, "r");
	if (f) {
		n = fread(text, 1, size - 1, f);
		fclose(f);
	}
	text[n] = 0;
	unlink(path);
}

/* A shell line in which $G is gyre; the exit status. What it printed is in out and err. */
static int sh(const char *line)
{
	const char *build = getenv("BUILD");
	char command[2048], gyre[512];
	int status;

	snprintf(gyre, sizeof(gyre), "%s/gyre", build ? build : "build");
	setenv("G", gyre, 1);
	snprintf(command, sizeof(command), "{ %s; } >$DIR/out 2>$DIR/err", line);
	status = system(command);
	read_file("out", out, sizeof(out));
	read_file("err", err, sizeof(err));
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect(const char *line, int code)
{
	int got = sh(line);

	if (got != code)
		fail_msg("%s: exit %d, not %d: %s", line, got, code, err);
}

static void run_takes_a_prompt_from_anywhere(void **state)
{
	static char first[sizeof(out)];

	(void)state;
	expect("$G run --max 20 hello there", 0);
	assert_true(strlen(out) > 1 && out[strlen(out) - 1] == '\n');
	assert_null(strchr(out, '\033'));
	assert_string_equal(err, "");
	strcpy(first, out);
	expect("echo hello there | $G run --max 20", 0);
	assert_string_equal(out, first);
	expect("$G run --max 20 --raw hello there", 0);
	assert_string_not_equal(out, first);
	expect("$G run --max 20 --system 'Be brief.' hello there", 0);
	assert_string_not_equal(out, first);
	expect("$G run --max 20 --temp 1 --seed 7 hello", 0);
	strcpy(first, out);
	expect("$G run --max 20 --temp 1 --seed 7 hello", 0);
	assert_string_equal(out, first);
	expect("$G run --max 20 --verbose hello", 0);
	assert_non_null(strstr(err, "first token after"));
	assert_non_null(strstr(err, "tok/s"));
	assert_null(strstr(out, "tok/s"));
	expect("$G run </dev/null", 2);
	expect("head -c 40000 /dev/zero | tr '\\0' a | $G run", 1);
	assert_non_null(strstr(err, "tokens, and the context"));
	expect("$G run --max 5 hello >/dev/full", 1);
	assert_non_null(strstr(err, "cannot write"));
}

/* More text than stdout's buffer, more continuations than a session may have at once. */
static void much_is_no_other_than_little(void **state)
{
	size_t n = 0;

	(void)state;
	expect("$G run --max 900 hello >/dev/full", 1);
	assert_non_null(strstr(err, "cannot write"));
	expect("$G run --help >/dev/full", 1);
	expect("$G score a $(seq 300)", 0);
	for (const char *p = out; (p = strchr(p, '\n')); p++)
		n++;
	assert_int_equal(n, 300);
}

static void expect_words(const char *line, int code, const char *words)
{
	expect(line, code);
	if (!strstr(err, words))
		fail_msg("%s: %s", line, err);
}

/* Each says what is wrong in words of its own. */
static void a_bad_text_is_a_clear_error(void **state)
{
	static const char *const line[] = {
		"$G score '' one",
		"nothing stands before it: the context is empty",
		"head -c 200000 /dev/zero | tr '\\0' a | $G tokenize",
		"the prompt has 200000 bytes, and at most",
		"head -c 2000000 /dev/zero | tr '\\0' a | $G run --raw",
		"the prompt has 2000000 bytes, too many for a context of 1024 positions",
		"head -c 40000 /dev/zero | tr '\\0' a | $G run --raw",
		"the prompt of 40000 bytes has more than 1024 tokens",
		"head -c 1024 /dev/zero | tr '\\0' a | $G run --raw --max 40",
		"the prompt has 1024 tokens, and the context 1024 positions; with an answer of 40 1064 are needed",
		"$G score \"$(head -c 40000 /dev/zero | tr '\\0' a)\" b",
		"the prompt of 40001 bytes has more than",
		"head -c 40000 /dev/zero | tr '\\0' a | $G run --raw --json 2>/dev/null >$DIR/err2; "
		"code=$?; cat $DIR/err2 >&2; rm $DIR/err2; (exit $code)",
		"\"res\":-7,\"error\":\"the prompt of 40000 bytes has more than 1024 tokens"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i += 2)
		expect_words(line[i], 1, line[i + 1]);
}

/* gyred's words come through to whoever asked, on stderr and in JSON. */
static void an_error_of_the_model_is_told_by_each_verb(void **state)
{
	static const char *const json[] = { "$G run --json --socket $DIR/none --model $MODEL Z 2>/dev/null",
					    "$G score --json --socket $DIR/none --model $MODEL aZ b 2>/dev/null" };
	struct tiny odd = tiny_served;

	(void)state;
	odd.bad = "token_embd.weight", odd.bad_row = 'Z';
	assert_int_equal(tiny_write(a.model, &odd), 0);
	expect_words("$G run --socket $DIR/none --model $MODEL Z", 1,
		     "gyre: the model gave a NaN or an infinity after 0");
	expect_words("$G score --socket $DIR/none --model $MODEL aZ b", 1,
		     "gyre: 'b': the model gave a NaN or an infinity");
	expect_words("echo Z | $G chat --socket $DIR/none --model $MODEL", 0,
		     "gyre: the model gave a NaN or an infinity");
	for (size_t i = 0; i < sizeof(json) / sizeof(json[0]); i++) {
		json_t *j, *one;

		expect(json[i], 1);
		j = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
		one = i ? json_array_get(j, 0) : j;
		assert_int_equal(json_integer_value(json_object_get(one, "res")), -33); /* EDOM */
		assert_non_null(strstr(json_string_value(json_object_get(one, "error")), "its file is damaged"));
		json_decref(j);
	}
}

static json_t *parse(const char *line)
{
	json_error_t e;
	json_t *j;

	expect(line, 0);
	j = json_loads(out, JSON_REJECT_DUPLICATES, &e);
	if (!j)
		fail_msg("%s: %s: %s", line, e.text, out);
	return j;
}

/* An option is one wherever it stands; behind -- it is text. */
static void options_stand_anywhere(void **state)
{
	static char first[sizeof(out)];

	(void)state;
	expect("$G run --max 5 hi there", 0);
	strcpy(first, out);
	expect("$G run hi --max 5 there", 0);
	assert_string_equal(out, first);
	expect("POSIXLY_CORRECT=1 $G run hi there --max 5", 0);
	assert_string_equal(out, first);
	expect("$G run --max 5 -- hi --max 6", 0);
	assert_string_not_equal(out, first);
	strcpy(first, out);
	expect("$G run --max 5 'hi --max 6'", 0);
	assert_string_equal(out, first);
	expect("$G score a ' b' --json", 0);
	assert_int_equal(out[0], '[');
	expect("$G tokenize --ids -- --ids", 0);
	assert_string_equal(out, "45 45 105 100 115\n");
	expect("$G inspect $MODEL --json", 0);
	assert_int_equal(out[0], '{');
}

/* A rate is of two tokens at least, and of steps that were made. */
static void what_was_not_measured_is_null(void **state)
{
	static const char *const figure[] = { "step_us", "own_share", "rows", "barriers_per_layer" };
	const char *key;
	json_t *j = parse("$G run --json --max 1 hello"), *value;

	(void)state;
	assert_true(json_is_null(json_object_get(j, "tokens_per_second")));
	assert_true(json_number_value(json_object_get(j, "first_token_ms")) > 0);
	json_decref(j);
	expect("$G run --max 1 --verbose hello", 0);
	assert_non_null(strstr(err, "answer: 1 token\n"));
	j = parse("$G stat --steps --json");
	assert_int_equal(json_integer_value(json_object_get(j, "steps")), 0);
	assert_non_null(json_object_get(json_object_get(j, "share"), "gate_up")); /* a name that the daemon tells */
	for (size_t i = 0; i < sizeof(figure) / sizeof(figure[0]); i++)
		assert_true(json_is_null(json_object_get(j, figure[i])));
	json_object_foreach(json_object_get(j, "share"), key, value) assert_true(json_is_null(value));
	assert_true(json_array_size(json_object_get(j, "barrier_share")) > 0);
	assert_true(json_is_null(json_array_get(json_object_get(j, "barrier_share"), 0)));
	json_decref(j);
	expect("$G stat --steps", 0);
	assert_string_equal(out, "  no step was made\n");
}

/* By the daemon's stamps: tokens that lie ready before the client looks were not made in no time. A step takes over 10 us. */
static void a_rate_is_of_the_daemons_making(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		json_t *j = parse("$G run --json --max 2 hello");

		assert_true(json_number_value(json_object_get(j, "tokens_per_second")) > 0);
		assert_true(json_number_value(json_object_get(j, "tokens_per_second")) < 1e5);
		json_decref(j);
	}
}

static void json_is_one_line_that_parses(void **state)
{
	static const char *const line[] = { "$G run --json --max 5 hello",
					    "$G run --json --max 300 --temp 2 hello", /* any bytes at all */
					    "$G score --json context one \"$(printf 'two\\377')\"",
					    "$G tokenize --json hello",
					    "$G tokenize --json --model $MODEL hello",
					    "$G inspect --json $MODEL",
					    "$G stat --json",
					    "$G doctor --json || test $? = 1",
					    "$G bench model --json --model $MODEL -p 16 -n 4 -r 1",
					    "$G bench ring --json" };

	(void)state;
	for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i++) {
		json_decref(parse(line[i]));
		assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
	}
}

/* What the manual promises by name. */
static void json_has_what_programs_read(void **state)
{
	static const char *const model[] = { "pp_tps",    "tg_tps",       "weights_bytes", "token_bytes",
					     "read_gbps", "decode_share", "prefill_share" },
				 *const ring[] = { "pingpong_ns",
						   "nop_spin_p50_ns",
						   "nop_spin_p99_ns",
						   "nop_park_p50_ns",
						   "eventfd_ns",
						   "wake_ns",
						   "first_token_added_p50_us" },
				 *const answer[] = { "text", "tokens", "prompt_tokens", "end", "tokens_per_second" };
	json_t *j = parse("$G bench model --json --model $MODEL -p 16 -n 4 -r 1");

	(void)state;
	for (size_t i = 0; i < sizeof(model) / sizeof(model[0]); i++)
		assert_true(json_number_value(json_object_get(j, model[i])) > 0);
	json_decref(j);
	j = parse("$G bench ring --json");
	for (size_t i = 0; i < sizeof(ring) / sizeof(ring[0]); i++)
		assert_non_null(json_object_get(j, ring[i]));
	json_decref(j);
	j = parse("$G run --json --max 5 hello");
	for (size_t i = 0; i < sizeof(answer) / sizeof(answer[0]); i++)
		assert_non_null(json_object_get(j, answer[i]));
	assert_int_equal(json_integer_value(json_object_get(j, "tokens")), 5);
	json_decref(j);
}

/* A step reads its context as well as the weights; a share lies between its quarters, a row's time is over the first's. */
static void model_figures_are_of_what_a_step_does(void **state)
{
	static const char *const share[] = { "decode_share", "prefill_share" };
	json_int_t bytes[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char line[128];
		json_t *j, *rows;

		snprintf(line, sizeof(line), "$G bench model --json -m $MODEL -p 8 -n 2 -r 2 --rows 1,3 -d %zu",
			 64 * i);
		j = parse(line);
		bytes[i] = json_integer_value(json_object_get(j, "token_bytes"));
		for (size_t k = 0; k < sizeof(share) / sizeof(share[0]); k++) {
			char low[32], high[32];
			double x = json_number_value(json_object_get(j, share[k]));

			snprintf(low, sizeof(low), "%s_low", share[k]);
			snprintf(high, sizeof(high), "%s_high", share[k]);
			assert_true(json_number_value(json_object_get(j, low)) > 0);
			assert_true(json_number_value(json_object_get(j, low)) <= x);
			assert_true(json_number_value(json_object_get(j, high)) >= x);
		}
		rows = json_object_get(j, "rows");
		assert_int_equal(json_array_size(rows), 2);
		assert_true(json_number_value(json_object_get(json_array_get(rows, 0), "seqs_x")) == 1);
		assert_true(json_number_value(json_object_get(json_array_get(rows, 1), "prompt_x_roof")) > 0);
		json_decref(j);
	}
	assert_true(bytes[1] > bytes[0]);
	assert_int_equal(bytes[2] - bytes[1], bytes[1] - bytes[0]);
}

/* The first is what the others are over, in each round; few rounds have no interval but their range. */
static void layouts_are_compared_with_the_first(void **state)
{
	json_t *j = parse("$G bench layouts --json -m $MODEL -n 16 -r 7 1:1 2:2 2:1"), *list;

	(void)state;
	list = json_object_get(j, "layouts");
	assert_int_equal(json_array_size(list), 3);
	for (size_t i = 0; i < 3; i++) {
		json_t *one = json_array_get(list, i);
		double x = json_number_value(json_object_get(one, "ratio"));
		double low = json_number_value(json_object_get(one, "ratio_low"));
		double high = json_number_value(json_object_get(one, "ratio_high"));

		assert_true(json_number_value(json_object_get(one, "token_ms")) > 0);
		assert_true(i ? low > 0 && low <= x && x <= high : low == 1 && x == 1 && high == 1);
		assert_int_equal(json_integer_value(json_object_get(one, "threads")), i ? 2 : 1);
		assert_int_equal(json_integer_value(json_object_get(one, "nodes")), i == 1 ? 2 : 1);
	}
	json_decref(j);
	expect("$G bench layouts -m $MODEL -n 1 -r 1 1:1 2:1", 0);
	expect("$G bench layouts -m $MODEL -n 1 -r 1 1:1 2:8", 1);
	assert_non_null(strstr(err, "lower --nodes"));
}

static void chat_is_plain_when_piped(void **state)
{
	(void)state;
	expect("printf 'one\\ntwo\\n/bye\\nnever asked\\n' | $G chat --max 5 --verbose", 0);
	assert_null(strstr(out, ">>>"));
	assert_null(strchr(out, '\033'));
	assert_non_null(strstr(err, "tok/s"));
	assert_null(strstr(strstr(strstr(err, "prompt:") + 1, "prompt:") + 1, "prompt:")); /* two answers, no third */
	expect("$G chat </dev/null", 0);
	assert_string_equal(out, "");
}

/* On a terminal the prompt is shown, /bye leaves, and an unknown command is no message. */
static void chat_greets_a_terminal(void **state)
{
	(void)state;
	if (system("script -qec true /dev/null </dev/null >/dev/null 2>&1") != 0) {
		puts("skip: script(1) is missing or can make no terminal (is /dev/pts mounted?)");
		skip();
	}
	expect("printf '/nosuch\\n/bye\\n' | script -qec \"$G chat --max 5\" /dev/null", 0);
	assert_non_null(strstr(out, ">>> "));
	assert_non_null(strstr(out, "no such command"));
}

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

/* No template, or none that works: chats are refused with the cause and the remedy, everything else goes on. */
static void a_template_that_fails_is_a_clear_error(void **state)
{
	struct tiny odd = tiny_served;

	(void)state;
	odd.chat_template = "one\n{{ messages | nosuch }}";
	assert_int_equal(tiny_write(a.model, &odd), 0);
	expect("$G chat --socket $DIR/none --model $MODEL </dev/null", 1);
	assert_non_null(strstr(err, "no chat template: give gyred --chat-template"));
	expect("$G run --socket $DIR/none --model $MODEL --max 3 hi", 0);
	assert_non_null(strstr(err, "continued as it stands"));
	expect("$G run --socket $DIR/none --model $MODEL --messages /dev/null", 1);
	expect("$G tokenize --chat --model $MODEL hi", 1);
	assert_non_null(strstr(err, "line 2"));
	assert_non_null(strstr(err, "nosuch"));
	assert_non_null(strstr(err, "chatml"));
	expect("$G run --socket $DIR/none --model $MODEL --chat-template chatml --max 3 hi", 0);
	assert_null(strstr(err, "continued as it stands"));
	expect("$G run --socket $DIR/none --model $MODEL --chat-template nosuch --max 3 hi", 1);
	assert_non_null(strstr(err, "name a file, or one of"));
	assert_non_null(strstr(err, "zephyr"));
	expect("printf '{{ messages | nosuch }}' >$DIR/t && $G run --socket $DIR/none --model $MODEL --chat-template "
	       "$DIR/t hi",
	       1);
	assert_non_null(strstr(err, "nosuch"));
	expect("$G run --socket $DIR/none --model $MODEL --chat-template chatml --chat-date today hi", 1);
	assert_non_null(strstr(err, "chat-date: 'today'"));
	assert_int_equal(tiny_write(a.model, &tiny_served), 0);
}

/* What the model sees is shown, and the words of a template that refuses reach the terminal. */
static void a_chat_is_shown_and_its_errors_told(void **state)
{
	struct tiny odd = tiny_served;

	(void)state;
	expect("$G tokenize --chat --model $MODEL --system Brief. 'x<|im_end|>'", 0);
	assert_non_null(strstr(out, "<|im_start|>system\nBrief.<|im_end|>\n<|im_start|>user\nx<|im_end|><|im_end|>\n"));
	expect("$G tokenize --chat --ids --model $MODEL 'x<|im_end|>'", 0);
	assert_non_null(strstr(out, " 257 10 256 ")); /* the turn's end, and no other */
	assert_null(strstr(strstr(out, " 257 ") + 1, " 257 "));
	expect("$G tokenize --model $MODEL --system x y", 2);
	expect("echo '{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": "
	       "null, \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": \"{\\\"x\\\": 1}\"}}]}, "
	       "{\"role\": "
	       "\"tool\", \"content\": [{\"type\": \"text\", \"text\": \"7\"}, {\"type\": \"text\", \"text\": "
	       "\"8\"}]}], "
	       "\"tools\": [1]}' >$DIR/m.json",
	       0);
	expect("printf '{{ tools }}{{ k }}{{ messages | tojson }}{{ enable_thinking }}' >$DIR/t && $G tokenize --chat "
	       "--model "
	       "$MODEL --chat-template $DIR/t --messages $DIR/m.json --no-think --template-arg k=word z",
	       0);
	assert_non_null(
		strstr(out, "[1]word[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": "
			    "null, \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {\"x\": 1}}}]}, "
			    "{\"role\": \"tool\", \"content\": \"7\\n8\"}, {\"role\": \"user\", \"content\": "
			    "\"z\"}]False"));
	odd.chat_template = "\n{{ raise_exception('Only ' + messages[0].role + ' here') }}";
	assert_int_equal(tiny_write(a.model, &odd), 0);
	expect("$G run --socket $DIR/none --model $MODEL hi", 1);
	assert_non_null(strstr(err, "chat template, line 2: Only user here"));
	expect("echo hi | $G chat --socket $DIR/none --model $MODEL", 0);
	assert_non_null(strstr(err, "chat template, line 2: Only user here"));
	assert_int_equal(tiny_write(a.model, &tiny_served), 0);
	expect("$G run --messages /nosuch", 1);
	assert_non_null(strstr(err, "--messages: /nosuch"));
}

static void inspect_survives_any_file(void **state)
{
	static uint8_t bytes[1 << 20], bent[1 << 20];
	char path[128];
	uint64_t seed = 11;
	size_t n;
	FILE *f = fopen(a.model, "rb");

	(void)state;
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/bent", a.dir);
	setenv("BENT", path, 1);
	for (int i = 0; i < 60; i++) {
		int code;

		memcpy(bent, bytes, n);
		for (int k = 0; k < 3; k++)
			bent[hostile_random(&seed, 6000)] = (uint8_t)hostile_random(&seed, 256);
		f = fopen(path, "wb");
		fwrite(bent, 1, i % 3 ? n : hostile_random(&seed, (uint32_t)n), f);
		fclose(f);
		code = sh("$G inspect $BENT");
		if (code != 0 && code != 1)
			fail_msg("bent file %d: exit %d: %s", i, code, err);
		assert_null(strchr(out, '\033'));
	}
	unlink(path);
}

/* Two keys: one is not UTF-8, the other has a control character (U+009B, which opens an escape sequence) beside an a-umlaut. */
static void inspect_shows_names_that_are_no_text(void **state)
{
	(void)state;
	expect("printf 'GGUF\\3\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\2\\0\\0\\0\\0\\0\\0\\0"
	       "\\3\\0\\0\\0\\0\\0\\0\\0a\\377b\\4\\0\\0\\0\\7\\0\\0\\0"
	       "\\7\\0\\0\\0\\0\\0\\0\\0c\\302\\2331\\303\\244d\\4\\0\\0\\0\\11\\0\\0\\0' > $DIR/odd.gguf; "
	       "$G inspect --json $DIR/odd.gguf",
	       0);
	assert_non_null(strstr(out, "\"a\xef\xbf\xbd"
				    "b\":7"));
	expect("$G inspect $DIR/odd.gguf; rm $DIR/odd.gguf", 0);
	assert_non_null(strstr(out, "c.1\xc3\xa4"
				    "d = 9"));
}

/* Every verb that is given a model takes one in parts, by the path of any of them; a vocabulary wants the first alone. */
static void a_model_in_parts_is_a_model(void **state)
{
	static char whole[sizeof(out)];
	char stem[80], part[SPLIT_PATH_BYTES];
	json_t *j, *t;

	(void)state;
	snprintf(stem, sizeof(stem), "%s/split", a.dir);
	split_write(a.model, stem, 3, 0, NULL);
	split_path(part, stem, 1, 3);
	setenv("PART", part, 1);
	expect("$G inspect $PART", 0);
	assert_non_null(strstr(out, "part 3 "));
	assert_non_null(strstr(out, "blk.1.ffn_down.weight  (part 3)\n"));
	j = parse("$G inspect --json $PART");
	t = json_array_get(json_object_get(j, "tensors"), 0);
	assert_int_equal(json_array_size(json_object_get(j, "files")), 3);
	assert_int_equal(json_integer_value(json_object_get(t, "file")), 0);
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(j, "files"), 1), "path")),
			    part);
	json_decref(j);
	expect("$G plan -m $PART --nodes 2", 0);
	expect("$G bench load -r 1 $PART", 0);
	expect("$G run --socket $DIR/none --model $MODEL --max 20 hello there", 0);
	strcpy(whole, out);
	expect("$G run --socket $DIR/none --model $PART --max 20 hello there", 0);
	assert_string_equal(out, whole);
	expect("$G tokenize --model $MODEL hello", 0);
	strcpy(whole, out);
	split_path(part, stem, 2, 3);
	unlink(part);
	expect("$G tokenize --model $PART hello", 0);
	assert_string_equal(out, whole);
	expect("$G inspect $PART", 1);
	assert_non_null(strstr(err, part));
	split_unlink(stem, 3);
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

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(run_takes_a_prompt_from_anywhere),
					    CASE(options_stand_anywhere),
					    CASE(what_was_not_measured_is_null),
					    CASE(a_rate_is_of_the_daemons_making),
					    CASE(much_is_no_other_than_little),
					    CASE(a_bad_text_is_a_clear_error),
					    CASE(an_error_of_the_model_is_told_by_each_verb),
					    CASE(json_is_one_line_that_parses),
					    CASE(json_has_what_programs_read),
					    CASE(model_figures_are_of_what_a_step_does),
					    CASE(layouts_are_compared_with_the_first),
					    CASE(chat_is_plain_when_piped),
					    CASE(chat_greets_a_terminal),
					    CASE(a_private_daemon_leaves_nothing),
					    CASE(closed_streams_are_nobody_elses),
					    CASE(a_private_daemon_outlives_nobody),
					    CASE(a_template_that_fails_is_a_clear_error),
					    CASE(a_chat_is_shown_and_its_errors_told),
					    CASE(inspect_survives_any_file),
					    CASE(inspect_shows_names_that_are_no_text),
					    CASE(a_model_in_parts_is_a_model),
					    CASE(an_interrupt_ends_the_answer) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
