/*
 * The figures of a model. Those of tensors are sums over the file's own table; what a sequence keeps is read from the model itself,
 * opened in addresses that have no memory (weights_outline), so that it is what a daemon would take, to the byte. A model that
 * cannot be opened has its header's figures, and the reason.
 */
#include "tools/inspect.h"

#include "daemon/model/arch.h"
#include "daemon/util/cleanup.h"
#include "kernels/quant.h"

#include <string.h>

CLEANUP_FUNC(struct weights *, weights_free)
CLEANUP_FUNC(struct model *, model_close)

#define KEY_BYTES 128

/* "<arch>.<name>", or 0. */
static uint32_t number_of(const struct gguf *g, const char *name)
{
	struct gguf_str arch;
	char key[KEY_BYTES];
	uint32_t n = 0;

	if (gguf_get_str(g, "general.architecture", &arch) < 0)
		return 0;
	snprintf(key, sizeof(key), "%.*s.%s", (int)(arch.n < 64 ? arch.n : 64), arch.p, name);
	return gguf_get_u32(g, key, &n) < 0 ? 0 : n;
}

static json_t *text_of(const struct gguf *g, const char *key)
{
	struct gguf_str s;

	return gguf_get_str(g, key, &s) < 0 ? json_null() : json_text(s.p, s.n);
}

static double n_number(const struct gguf_tensor *t)
{
	return (double)t->ne[0] * (double)t->ne[1] * (double)t->ne[2] * (double)t->ne[3];
}

static bool is_of_experts(const struct gguf_tensor *t)
{
	return memmem(t->name.p, t->name.n, "_exps.", strlen("_exps.")) != NULL;
}

static bool is_left_out(const struct gguf *opened, const struct gguf_tensor *t)
{
	for (size_t i = 0; opened && i < gguf_n_left_out(opened); i++) {
		struct gguf_str name = gguf_left_out_at(opened, i)->name;

		if (name.n == t->name.n && !memcmp(name.p, t->name.p, name.n))
			return true;
	}
	return false;
}

/* opened: as the model has its tensors; NULL: it could not be opened. */
static void add_parameters(json_t *j, const struct gguf *g, const struct gguf *opened)
{
	uint32_t n_expert = number_of(g, "expert_count"), n_used = number_of(g, "expert_used_count");
	double all = 0, active = 0, n_out = 0;
	json_t *types = json_object();

	for (size_t i = 0; i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		const char *type = inspect_type_name(t->type);
		double n = n_number(t);

		all += n;
		json_object_set_new(
			types, type,
			json_integer(json_integer_value(json_object_get(types, type)) + (json_int_t)t->bytes));
		if (is_left_out(opened, t))
			n_out += n;
		else
			active += is_of_experts(t) && n_expert ? n * n_used / n_expert : n;
	}
	json_object_set_new(j, "parameters", json_integer((json_int_t)all));
	json_object_set_new(j, "active_parameters", json_integer((json_int_t)active));
	json_object_set_new(j, "left_out_parameters", json_integer((json_int_t)n_out));
	json_object_set_new(j, "experts", json_integer(n_expert));
	json_object_set_new(j, "experts_used", json_integer(n_used));
	json_object_set_new(j, "type_bytes", types);
}

static void add_text(json_t *j, const struct gguf *g)
{
	struct gguf_arr tokens;
	struct gguf_str s;

	json_object_set_new(j, "name", text_of(g, "general.name"));
	json_object_set_new(j, "vocabulary",
			    json_pack("{s:o,s:o,s:I}", "model", text_of(g, "tokenizer.ggml.model"), "pre",
				      text_of(g, "tokenizer.ggml.pre"), "tokens",
				      gguf_get_arr(g, "tokenizer.ggml.tokens", &tokens) ? 0 : (json_int_t)tokens.n));
	json_object_set_new(j, "template_bytes",
			    gguf_get_str(g, "tokenizer.chat_template", &s) ? json_null()
									   : json_integer((json_int_t)s.n));
}

static void add_layers(json_t *j, const struct hparams *hp)
{
	static const struct {
		const char *name;
		uint8_t has, lacks;
	} kinds[] = {
		{ "attention", LAYER_ATTENTION, LAYER_WINDOW },
		{ "windowed_attention", LAYER_ATTENTION | LAYER_WINDOW, 0 },
		{ "state", LAYER_STATE, 0 },
		{ "feed_forward", LAYER_FF, 0 },
		{ "experts", LAYER_EXPERTS, 0 },
	};
	json_t *n = json_object();

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		json_int_t count = 0;

		for (uint32_t i = 0; i < hp->n_layer; i++) {
			uint8_t kind = hp->kind[i];

			if (!hp->n_window)
				kind &= (uint8_t)~LAYER_WINDOW;
			count += (kind & kinds[k].has) == kinds[k].has && !(kind & kinds[k].lacks);
		}
		json_object_set_new(n, kinds[k].name, json_integer(count));
	}
	json_object_set_new(j, "layers", json_integer(hp->n_layer));
	json_object_set_new(j, "layers_with", n);
	json_object_set_new(j, "left_out_layers", json_integer(hp->n_nextn));
	json_object_set_new(j, "context", json_integer(hp->n_ctx_train));
	json_object_set_new(j, "window", json_integer(hp->n_window));
}

/* Keys and values of a position, where a sequence keeps them all and where it keeps a window of them. */
static void add_kv(json_t *j, const struct model *m, const char *type)
{
	struct kv_mem mem = model_kv_mem(m, 0);
	size_t all = 0, windowed = 0;

	for (const struct kv_part *p = mem.part; p < mem.part + mem.n_part; p++)
		if (kv_is_paged(p))
			*(p->window ? &windowed : &all) += p->bytes;
	json_object_set_new(
		j, type,
		json_pack("{s:f,s:f}", "all", (double)all / KV_BLOCK, "in_window", (double)windowed / KV_BLOCK));
}

/* What a sequence keeps, by the type of its keys and values. */
static int add_memory(json_t *j, const struct weights *w, struct error *e)
{
	json_t *kv = json_object();
	struct kernels k;
	int r = 0;

	kernels_select(&k, ISA_MAX);
	for (enum kvq_type type = 0; type < KVQ_TYPE_MAX && r == 0; type++) {
		const struct model_options o = { .n_row_max = 1, .n_logit_max = 1, .n_thread = 1, .kv_type = type };
		_cleanup_(model_closep) struct model *m = NULL;

		r = model_open(&m, w, &k, &o, e);
		if (r < 0)
			break;
		add_kv(kv, m, kvq_name(type));
		json_object_set_new(j, "state_bytes", json_integer((json_int_t)model_slot_bytes(m)));
	}
	json_object_set_new(j, "kv_bytes_per_token", kv);
	return r;
}

json_t *inspect_model(const struct gguf *g, const char *path)
{
	const struct weights_options wo = { .plan = model_plan };
	_cleanup_(weights_freep) struct weights *w = NULL;
	static struct hparams hp;
	const struct arch *arch;
	struct error e = { "" };
	json_t *j = json_object();
	int r;

	memset(&hp, 0, sizeof(hp));
	json_object_set_new(j, "architecture", text_of(g, "general.architecture"));
	add_text(j, g);
	json_object_set_new(j, "context", json_integer(number_of(g, "context_length")));
	json_object_set_new(j, "layers", json_integer(number_of(g, "block_count")));
	r = arch_read(&arch, &hp, g, &e);
	if (r == 0) {
		add_layers(j, &hp);
		r = weights_outline(&w, path, &wo, &e);
	}
	add_parameters(j, g, w ? w->gguf : NULL);
	if (r == 0)
		r = add_memory(j, w, &e);
	json_object_set_new(j, "runs", json_boolean(r == 0));
	json_object_set_new(j, "why_not", r == 0 ? json_null() : json_text(e.text, strlen(e.text)));
	return j;
}

static double get(const json_t *j, const char *key)
{
	return json_number_value(json_object_get(j, key));
}

static void print_string(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	inspect_text((struct gguf_str){ s ? s : "?", s ? strlen(s) : 1 }, 256);
}

static void print_count(double n)
{
	if (n >= 1e9)
		printf("%.2f B", n / 1e9);
	else
		printf("%.1f M", n / 1e6);
}

static void print_bytes(double n)
{
	if (n >= 1 << 20)
		printf("%.1f MiB", n / (1 << 20));
	else
		printf("%.1f KiB", n / 1024);
}

static void print_parameters(const json_t *j)
{
	double left_out = get(j, "left_out_parameters");

	printf("parameters    ");
	print_count(get(j, "parameters"));
	printf(", of which a token takes ");
	print_count(get(j, "active_parameters"));
	if (get(j, "experts") > 0)
		printf(" (%.0f of %.0f experts)", get(j, "experts_used"), get(j, "experts"));
	if (left_out > 0) {
		printf("; left out: ");
		print_count(left_out);
	}
	putchar('\n');
}

static void print_layers(const json_t *j)
{
	const char *name;
	const json_t *n;

	printf("layers        %.0f", get(j, "layers"));
	json_object_foreach((json_t *)json_object_get(j, "layers_with"), name, n)
	{
		if (!json_integer_value(n))
			continue;
		printf(", %lld ", (long long)json_integer_value(n));
		for (const char *c = name; *c; c++)
			putchar(*c == '_' ? ' ' : *c);
	}
	if (get(j, "left_out_layers") > 0)
		printf("; left out: %.0f that predict further tokens", get(j, "left_out_layers"));
	printf("\ncontext       %.0f", get(j, "context"));
	if (get(j, "window") > 0)
		printf(", windows of %.0f", get(j, "window"));
	putchar('\n');
}

static void print_memory(const json_t *j)
{
	const char *type, *between = "";
	const json_t *kv;

	if (!json_is_true(json_object_get(j, "runs")))
		return;
	printf("a token       ");
	json_object_foreach((json_t *)json_object_get(j, "kv_bytes_per_token"), type, kv)
	{
		if (get(kv, "all") + get(kv, "in_window") <= 0)
			continue;
		printf("%s", between);
		print_bytes(get(kv, "all"));
		if (get(kv, "in_window") > 0) {
			printf(" and in the window ");
			print_bytes(get(kv, "in_window"));
		}
		printf(" as %s", type);
		between = ", ";
	}
	if (!*between)
		printf("nothing");
	if (get(j, "state_bytes") > 0) {
		printf("\na sequence    ");
		print_bytes(get(j, "state_bytes"));
		printf(" of states");
	}
	putchar('\n');
}

static void print_types(const json_t *j)
{
	json_t *types = json_object_get(j, "type_bytes");
	const char *type, *between = "";
	const json_t *n;
	double all = 0;

	json_object_foreach(types, type, n) all += json_number_value(n);
	printf("types         ");
	json_object_foreach(types, type, n)
	{
		printf("%s%s %.1f %%", between, type, all > 0 ? 100 * json_number_value(n) / all : 0);
		between = ", ";
	}
	putchar('\n');
}

void inspect_print_model(const json_t *j)
{
	const json_t *vocabulary = json_object_get(j, "vocabulary");
	bool runs = json_is_true(json_object_get(j, "runs"));

	printf("architecture  ");
	print_string(j, "architecture");
	if (!runs) {
		printf("; gyre does not run this model: ");
		print_string(j, "why_not");
	}
	putchar('\n');
	print_parameters(j);
	print_layers(j);
	print_memory(j);
	print_types(j);
	printf("vocabulary    ");
	print_string(vocabulary, "model");
	printf(", ");
	print_string(vocabulary, "pre");
	printf(", %.0f tokens\ntemplate      ", get(vocabulary, "tokens"));
	if (json_is_null(json_object_get(j, "template_bytes")))
		printf("none\n");
	else
		printf("%.0f bytes\n", get(j, "template_bytes"));
}

int inspect_list(const struct args *a)
{
	json_t *list = json_array();
	const json_t *name;
	size_t i;

	for (i = 0; arch_at(i); i++)
		json_array_append_new(list, json_string(arch_at(i)->name));
	if (a->json)
		return print_json(list);
	json_array_foreach(list, i, name) printf("%s\n", json_string_value(name));
	json_decref(list);
	return TOOL_OK;
}
