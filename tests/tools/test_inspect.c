/*
 * Why: a model file comes from anywhere. The verbs that look at one survive files bent at random and names that are no text, and take a
 * model in parts for one.
 */
#include "tests/tools/verbs.h"
#include "tests/util/hostile.h"
#include "tests/util/refile.h"
#include "tests/util/split.h"

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

static double model_of(const char *command, const char *name, const char *below)
{
	json_t *j = parse(command), *v = json_object_get(json_object_get(j, "model"), name);
	double n = json_number_value(below ? json_object_get(v, below) : v);

	json_decref(j);
	return n;
}

#define INSPECT "$G inspect --json $FOUND"

/* The figures of a model, those of one in another form, and what the header says of one that gyre does not run. */
static void inspect_says_what_model_it_is(void **state)
{
	char path[128];
	uint8_t *at;
	static uint8_t bytes[1 << 20];
	size_t n;
	FILE *f;

	(void)state;
	setenv("FOUND", a.model, 1);
	/* 2 layers of 64 x (64 + 32 + 32 + 64 + 3 x 128) and two norms, 272 tokens of 64, a last norm */
	assert_true(model_of(INSPECT, "parameters", NULL) == 2 * (64 * 576 + 128) + 272 * 64 + 64);
	assert_true(model_of(INSPECT, "active_parameters", NULL) == 2 * (64 * 576 + 128) + 272 * 64 + 64);
	assert_true(model_of(INSPECT, "layers_with", "attention") == 2);
	assert_true(model_of(INSPECT, "layers_with", "windowed_attention") == 0);
	assert_true(model_of(INSPECT, "state_bytes", NULL) == 0);
	expect("$G inspect $FOUND", 0);
	/* 2 layers, 2 heads, 16 dimensions of keys and of values, 2 bytes */
	assert_non_null(strstr(out, "a token       0.2 KiB as f16"));
	assert_non_null(strstr(out, "architecture  llama\n"));
	snprintf(path, sizeof(path), "%s/found.gguf", a.dir);
	setenv("FOUND", path, 1);
	assert_true(refile_write(path, a.model, &(struct refile){ .n_nextn = 1, .extra = { "v.a", NULL } }) >= 0);
	assert_true(model_of(INSPECT, "left_out_layers", NULL) == 1);
	assert_true(model_of(INSPECT, "left_out_parameters", NULL) == 64 * 576 + 128 + 272 * 64 + 8);
	assert_true(model_of(INSPECT, "active_parameters", NULL) == 2 * (64 * 576 + 128) + 272 * 64 + 64);
	f = fopen(a.model, "rb");
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	at = memmem(bytes, n, "\5\0\0\0\0\0\0\0llama", 13);
	memcpy(at + 8, "dbrxx", 5);
	f = fopen(path, "wb");
	fwrite(bytes, 1, n, f);
	fclose(f);
	expect("$G inspect $FOUND", 0);
	assert_non_null(strstr(out, "dbrxx; gyre does not run this model: architecture \"dbrxx\" is not one that"));
	assert_non_null(strstr(out, "vocabulary    gpt2"));
	unlink(path);
	expect("$G inspect", 0);
	assert_non_null(strstr(out, "llama\n"));
}

/* What a sequence keeps as a whole is no part of a position. */
static void states_are_of_sequences(void **state)
{
	(void)state;
	setenv("FOUND", "tests/golden/arch/mamba.gguf", 1);
	assert_true(model_of(INSPECT, "state_bytes", NULL) > 0);
	expect("$G inspect $FOUND", 0);
	assert_non_null(strstr(out, "a token       nothing\n"));
	setenv("FOUND", "tests/golden/arch/qwen35.gguf", 1);
	expect("$G inspect $FOUND", 0);
	/* 1 layer of four, 2 heads, 32 dimensions of keys and of values, 2 bytes */
	assert_non_null(strstr(out, "a token       0.2 KiB as f16"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(inspect_survives_any_file),   CASE(inspect_shows_names_that_are_no_text),
		CASE(a_model_in_parts_is_a_model), CASE(inspect_says_what_model_it_is),
		CASE(states_are_of_sequences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
