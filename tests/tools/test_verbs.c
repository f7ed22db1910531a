/*
 * Why: the tool is what people and scripts meet first. Each verb is run against a daemon on a tiny model, as a script would: answers
 * alone on stdout, plain when piped, JSON that parses, exit codes as documented.
 */
#include "tests/tools/verbs.h"

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

/* The first is what there is without; the others are what they are with their seeds. */
static void run_gives_several_answers(void **state)
{
	static char alone[2][sizeof(out)], want[2 * sizeof(out) + 16];
	json_t *j;

	(void)state;
	for (int i = 0; i < 2; i++) {
		expect(i ? "$G run --max 12 --temp 1 --seed 8 hello" : "$G run --max 12 --temp 1 --seed 7 hello", 0);
		strcpy(alone[i], out);
	}
	expect("$G run --max 12 --temp 1 --seed 7 --answers 2 hello", 0);
	snprintf(want, sizeof(want), "[1] %s[2] %s", alone[0], alone[1]);
	assert_string_equal(out, want);
	expect("$G run --max 12 --temp 1 --answers 32 --json --raw hello", 0);
	j = json_object_get(json_loads(out, JSON_ALLOW_NUL, NULL), "answers");
	assert_int_equal(json_array_size(j), 32);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(j, 31), "seed")), 31);
	expect_words("head -c 1024 /dev/zero | tr '\\0' a | $G run --raw --answers 2", 1,
		     "answer 1: the prompt has 1024 tokens, and the context");
	expect_words("head -c 40000 /dev/zero | tr '\\0' a | $G run --raw --answers 2", 1,
		     "the prompt of 40000 bytes has more than 1024 tokens");
	expect("$G run --answers 33 hello", 2);
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

/* Each says what is wrong in words of its own. */
static void a_bad_text_is_a_clear_error(void **state)
{
	static const char *const line[] = {
		"$G score '' one",
		"nothing stands before it: the context is empty",
		"$G detokenize 1 4000000000",
		"token 2 of the prompt has the id 4000000000",
		"head -c 200000 /dev/zero | tr '\\0' a | $G tokenize",
		"the prompt has 200000 bytes, and at most",
		"head -c 2000000 /dev/zero | tr '\\0' a | $G run --raw",
		"the prompt has 2000000 bytes, too many for a context of 1024 positions",
		"head -c 40000 /dev/zero | tr '\\0' a | $G run --raw",
		"the prompt of 40000 bytes has more than 1024 tokens",
		"head -c 1024 /dev/zero | tr '\\0' a | $G run --raw --max 40",
		"the prompt has 1024 tokens, and the context 1024 positions; with an answer of 40 1064 are needed",
		"$G score \"$(head -c 40000 /dev/zero | tr '\\0' a)\" b",
		"the prompt of 40000 bytes has more than",
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
	/* Its numbers are finite, and what they are multiplied to is not. */
	odd.type_embd = QUANT_MXFP4, odd.is_tied = false, odd.type_output = QUANT_Q8_0;
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
	expect("printf 'two  w\303\266rds\n' | $G tokenize --json | $G detokenize", 0);
	assert_string_equal(out, "two  w\303\266rds\n");
	expect("$G tokenize --ids ' one' | $G detokenize --model $MODEL", 0);
	assert_string_equal(out, " one");
	expect("$G embed --raw one 'two words'", 0);
	strcpy(first, out);
	expect("printf 'one\ntwo words' | $G embed --raw", 0); /* a line a text, the last without an end */
	assert_string_equal(out, first);
	expect("$G embed --pooling cls one once | uniq | wc -l", 0);
	assert_string_equal(out, "1\n"); /* both begin with the same byte */
	expect("$G embed one ''", 1);
	expect("$G inspect $MODEL --json", 0);
	assert_int_equal(out[0], '{');
}

static void json_is_one_line_that_parses(void **state)
{
	static const char *const line[] = { "$G run --json --max 5 hello",
					    "$G run --json --max 300 --temp 2 hello", /* any bytes at all */
					    "$G score --json context one \"$(printf 'two\\377')\"",
					    "$G tokenize --json hello",
					    "$G tokenize --json --model $MODEL hello",
					    "$G detokenize --json 104 105",
					    "$G embed --json --pooling mean two \"$(printf 'texts\\377')\"",
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

/* A model whose embedding is its output, too, reads all weights for a token, and a sequence's state. */
static void a_token_reads_its_state(void **state)
{
	static const char model[] = "tests/golden/arch/mamba.gguf";
	char words[160];
	json_t *j;
	json_int_t bytes;

	(void)state;
	snprintf(words, sizeof(words), "$G bench model --json --model %s -p 8 -n 2 -r 1 --rows 1 --batch 1", model);
	j = parse(words);
	bytes = json_integer_value(json_object_get(j, "token_bytes")) -
		json_integer_value(json_object_get(j, "weights_bytes"));
	json_decref(j);
	snprintf(words, sizeof(words), "$G inspect --json %s", model);
	j = parse(words);
	assert_true(bytes > 0);
	assert_int_equal(bytes, json_integer_value(json_object_get(json_object_get(j, "model"), "state_bytes")));
	json_decref(j);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(run_takes_a_prompt_from_anywhere),
		CASE(run_gives_several_answers),
		CASE(much_is_no_other_than_little),
		CASE(a_bad_text_is_a_clear_error),
		CASE(an_error_of_the_model_is_told_by_each_verb),
		CASE(options_stand_anywhere),
		CASE(json_is_one_line_that_parses),
		CASE(a_token_reads_its_state),
		CASE(json_has_what_programs_read),
		CASE(chat_is_plain_when_piped),
		CASE(chat_greets_a_terminal),
		CASE(a_template_that_fails_is_a_clear_error),
		CASE(a_chat_is_shown_and_its_errors_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
