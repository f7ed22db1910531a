/*
 * Why: a peer's server is measured by the same clients, and a stream that broke off or an error inside it must not count as an answer.
 * Against a server of a few lines that does each of these.
 */
#include "tests/tools/verbs.h"

#include "tests/tools/openai_stub.h"

static int open_both(void **state)
{
	return setup(state) || stub_open();
}

static int close_both(void **state)
{
	stub_close();
	return teardown(state);
}

/* Tokens are the server's count where it has one, and else the chunks with text. */
static void a_stream_is_counted(void **state)
{
	json_t *j;

	(void)state;
	j = parse("$G bench serve --json --openai $URL/v1/ --clients 2 --requests 6 --prompt-len 10 --output-len 5");
	assert_true(number(j, "completed") == 6 && number(j, "failed") == 0);
	assert_true(number(j, "total_input_tokens") == 6000 && number(j, "total_output_tokens") == 30);
	/* The stub waits 0.5 ms a token: on a busy machine some come at once, but not all of all answers. */
	assert_true(number(j, "mean_ttft_ms") > 0 && number(j, "max_itl_ms") > 0.4);
	assert_true(number(j, "mean_e2el_ms") > number(j, "mean_ttft_ms"));
	assert_string_equal(json_string_value(json_object_get(j, "model_id")), "stubby");
	assert_string_equal(json_string_value(json_object_get(j, "prompts")), "text");
	json_decref(j);
	j = parse("$G bench serve --json --openai $URL --clients 2 --requests 2 --prompt-len 10 --output-len 12");
	assert_true(number(j, "total_input_tokens") == 20 && number(j, "total_output_tokens") == 24);
	json_decref(j);
	expect("$G bench serve --openai $URL --requests 2 --prompt-len 3 --output-len 3", 0);
	assert_non_null(
		strstr(out, "Prompts: texts of about as many tokens, a common word for each; 8 clients of http"));
}

static void each_failure_has_its_words(void **state)
{
	static const struct {
		int n_output;
		const char *words;
	} failure[] = { { STUB_REFUSES, "no slot is free" },
			{ STUB_FAILS_HALFWAY, "the slot is lost" },
			{ STUB_HANGS_UP, "the stream ended before its [DONE]" },
			{ STUB_ENDS_WITHOUT_DONE, "the stream ended before its [DONE]" } };

	(void)state;
	for (size_t i = 0; i < sizeof(failure) / sizeof(failure[0]); i++) {
		char line[512], words[64];
		json_t *j, *list;

		/* Each other request succeeds, over the same connections. */
		snprintf(line, sizeof(line),
			 "printf '4,%d\\n4,3\\n' >$DIR/l; $G bench serve --json --openai $URL --clients 1 --requests 6 "
			 "--lengths $DIR/l; code=$?; rm $DIR/l; (exit $code)",
			 failure[i].n_output);
		j = parse(line);
		list = json_object_get(j, "failures");
		if (number(j, "completed") != 3 || number(j, "failed") != 3 || json_array_size(list) != 1)
			fail_msg("%s: %s", failure[i].words, out);
		assert_true(number(j, "total_output_tokens") == 9);
		snprintf(words, sizeof(words), "%s",
			 json_string_value(json_object_get(json_array_get(list, 0), "error")));
		assert_string_equal(words, failure[i].words);
		assert_true(number(json_array_get(list, 0), "count") == 3);
		json_decref(j);
	}
	expect_words("$G bench serve --openai $URL/elsewhere", 1,
		     "names no model (HTTP 404: <html>nothing here</html>): is it an OpenAI server");
	expect_words("$G bench serve --openai $URL/elsewhere --model x --requests 1", 1,
		     "no request succeeded: <html>");
}

static void streams_are_never_more_than_the_bound(void **state)
{
	(void)state;
	stub.n_wanted = 5;
	json_decref(
		parse("$G bench serve --json --openai $URL --clients 2 --concurrency 5 --requests 40 --prompt-len 3 "
		      "--output-len 1-6"));
	assert_int_equal(stub.n_prompt, 40);
	assert_int_equal(stub.n_most, 5);
	stub_forget();
	json_decref(parse(
		"$G bench serve --json --openai $URL --clients 2 --requests 30 --request-rate 300 --concurrency 2 "
		"--prompt-len 3 --output-len 1-6"));
	assert_true(stub.n_most <= 2);
	assert_int_equal(stub.n_prompt, 30);
}

/* With a vocabulary at hand prompts are its ids, unless the server takes none. */
static void prompts_are_ids_if_the_server_takes_them(void **state)
{
	json_t *j =
		parse("$G bench serve --json --openai $URL --model $MODEL --requests 4 --prompt-len 50 --output-len 1");

	(void)state;
	assert_string_equal(json_string_value(json_object_get(j, "prompts")), "ids");
	json_decref(j);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(json_array_size(stub.prompt[i]), 50);
		for (size_t k = 0; k < 50; k++) {
			json_int_t id = json_integer_value(json_array_get(stub.prompt[i], k));

			assert_true(id == ' ' ||
				    (id >= 'a' && id <= 'z')); /* of a vocabulary of bytes, those of the words */
		}
	}
	stub_forget();
	stub.takes_text_only = true;
	j = parse("$G bench serve --json --openai $URL --model $MODEL --requests 4 --prompt-len 50 --output-len 1");
	assert_non_null(strstr(err, "takes no token ids (HTTP 400: prompt must be a string)"));
	assert_string_equal(json_string_value(json_object_get(j, "prompts")), "text");
	json_decref(j);
	assert_true(json_is_string(stub.prompt[0]));
}

/* How many words two texts have in common at their beginning. */
static size_t n_common(const char *x, const char *y)
{
	size_t n = 0;

	for (; *x && *x == *y; x++, y++)
		n += *x == ' ';
	return n ? n - (*x != 0) : 0;
}

/* The first half of a prompt is that of its group, the rest its own; the seed makes both. */
static void prefixes_are_shared_within_groups(void **state)
{
	const char *line =
		"$G bench serve --json --openai $URL --clients 1 --requests 12 --prompt-len 40 --output-len 1 "
		"--shared-prefix 0.5 --prefix-groups 2 --seed 5";
	char *first[12];
	size_t n_shared = 0;

	(void)state;
	json_decref(parse(line));
	for (size_t i = 0; i < 12; i++) {
		size_t n = n_common(json_string_value(stub.prompt[i]), json_string_value(stub.prompt[0]));

		assert_true(!i || n < 5 || (n >= 20 && n < 25));
		n_shared += n >= 20;
		first[i] = strdup(json_string_value(stub.prompt[i]));
	}
	assert_true(n_shared >= 3 && n_shared <= 9);
	stub_forget();
	json_decref(parse(line));
	for (size_t i = 0; i < 12; i++) {
		assert_string_equal(json_string_value(stub.prompt[i]), first[i]);
		free(first[i]);
	}
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, open_both, close_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_stream_is_counted),
		BOTH(each_failure_has_its_words),
		BOTH(streams_are_never_more_than_the_bound),
		BOTH(prompts_are_ids_if_the_server_takes_them),
		BOTH(prefixes_are_shared_within_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
