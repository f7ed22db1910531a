#include "tools/inspect.h"

#include "kernels/quant.h"

#include <stdlib.h>
#include <string.h>

#define ARRAY_SHOWN 6
#define TEXT_SHOWN  72

static bool is_c1(unsigned char c)
{
	return c >= 0x80 && c < 0xa0;
}

/* Names come from a hostile file: control characters must not reach the terminal, nor those of Latin-1, bare or as UTF-8. */
void inspect_text(struct gguf_str s, uint64_t max)
{
	const unsigned char *p = (const unsigned char *)s.p;
	bool in_char = false;

	for (uint64_t i = 0; i < s.n && i < max; i++) {
		bool is_pair = p[i] == 0xc2 && i + 1 < s.n && is_c1(p[i + 1]);

		putchar(p[i] < ' ' || p[i] == 127 || is_pair || (is_c1(p[i]) && !in_char) ? '.' : p[i]);
		i += is_pair;
		in_char = !is_pair && (p[i] >= 0xc0 || (in_char && p[i] >= 0x80));
	}
	if (s.n > max)
		printf("... (%llu bytes)", (unsigned long long)s.n);
}

static json_t *element(const struct gguf_arr *a, uint64_t i)
{
	if (a->type == GGUF_STR)
		return json_text(gguf_arr_str(a, i).p, gguf_arr_str(a, i).n);
	if (a->type == GGUF_F32 || a->type == GGUF_F64)
		return json_real((double)gguf_arr_f32(a, i));
	if (a->type == GGUF_BOOL)
		return json_boolean(gguf_arr_int(a, i));
	return json_integer(gguf_arr_int(a, i));
}

/* Arrays are cut to their first elements: vocabularies have tens of thousands. */
static json_t *value(const struct gguf_kv *kv)
{
	struct gguf_arr one = { kv->type, 1, kv->data, NULL };
	struct gguf_str s;
	uint64_t n;
	json_t *list;

	if (kv->type == GGUF_STR) {
		memcpy(&n, kv->data, sizeof(n));
		s = (struct gguf_str){ (const char *)kv->data + sizeof(n), n };
		return json_text(s.p, s.n);
	}
	if (kv->type != GGUF_ARR)
		return element(&one, 0);
	list = json_array();
	for (uint64_t i = 0; i < kv->arr.n && i < ARRAY_SHOWN; i++)
		json_array_append_new(list, element(&kv->arr, i));
	return json_pack("{s:s,s:I,s:o}", "array_of", gguf_type_name(kv->arr.type), "n", (json_int_t)kv->arr.n, "first",
			 list);
}

const char *inspect_type_name(uint32_t type)
{
	const struct quant_info *q = quant_info(type);

	return q && q->name ? q->name : "?";
}

static json_t *shape(const struct gguf_tensor *t)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->n_dim; i++)
		json_array_append_new(list, json_integer((json_int_t)t->ne[i]));
	return list;
}

static uint64_t tensor_bytes(const struct gguf *g, uint32_t file, size_t *n)
{
	uint64_t bytes = 0;

	*n = 0;
	for (size_t i = 0; i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		*n += t->file == file;
		bytes += t->file == file ? t->bytes : 0;
	}
	return bytes;
}

static json_t *files(const struct gguf *g)
{
	json_t *list = json_array();
	size_t n;

	for (uint32_t i = 0; i < gguf_n_file(g); i++) {
		const struct gguf_file *f = gguf_file_at(g, i);

		tensor_bytes(g, i, &n);
		json_array_append_new(list, json_pack("{s:o,s:I,s:I}", "path", json_text(f->path, strlen(f->path)),
						      "bytes", (json_int_t)f->bytes, "tensors", (json_int_t)n));
	}
	return list;
}

/* Of a model in several files: where its parts are. */
static void print_files(const struct gguf *g)
{
	size_t n;

	for (uint32_t i = 0; i < gguf_n_file(g) && gguf_n_file(g) > 1; i++) {
		const struct gguf_file *f = gguf_file_at(g, i);
		uint64_t bytes = tensor_bytes(g, i, &n);

		printf("part %-3u %10.2f MiB, %zu tensors of %.2f MiB  ", i + 1, (double)f->bytes / (1 << 20), n,
		       (double)bytes / (1 << 20));
		inspect_text((struct gguf_str){ f->path, strlen(f->path) }, SIZE_MAX);
		putchar('\n');
	}
}

static int inspect_json(const struct gguf *g, const char *path)
{
	json_t *meta = json_object(), *tensors = json_array();

	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		json_t *key = json_text(kv->key.p, kv->key.n); /* which is UTF-8 whatever the file has */

		json_object_setn_new(meta, json_string_value(key), json_string_length(key), value(kv));
		json_decref(key);
	}
	for (size_t i = 0; i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		json_array_append_new(
			tensors, json_pack("{s:o,s:s,s:o,s:i,s:I,s:I}", "name", json_text(t->name.p, t->name.n), "type",
					   inspect_type_name(t->type), "shape", shape(t), "file", (int)t->file,
					   "offset", (json_int_t)t->offset, "bytes", (json_int_t)t->bytes));
	}
	return print_json(json_pack("{s:i,s:I,s:o,s:o,s:o,s:o}", "version", (int)gguf_version(g), "file_bytes",
				    (json_int_t)gguf_bytes(g), "files", files(g), "model", inspect_model(g, path),
				    "metadata", meta, "tensors", tensors));
}

static void print_metadata(const struct gguf *g)
{
	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		json_t *j = value(kv);
		char *text = json_dumps(j, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));

		inspect_text(kv->key, GGUF_NAME_MAX);
		printf(" = ");
		if (text)
			inspect_text((struct gguf_str){ text, strlen(text) }, TEXT_SHOWN);
		putchar('\n');
		free(text);
		json_decref(j);
	}
}

static void print_tensors(const struct gguf *g)
{
	uint64_t total = 0;

	for (size_t i = 0; i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		char dims[96] = "";
		size_t n = 0;

		for (uint32_t d = 0; d < t->n_dim; d++)
			n += (size_t)snprintf(dims + n, sizeof(dims) - n, "%s%llu", d ? " x " : "",
					      (unsigned long long)t->ne[d]);
		printf("%-6s %-22s %10.2f MiB  ", inspect_type_name(t->type), dims, (double)t->bytes / (1 << 20));
		inspect_text(t->name, GGUF_NAME_MAX);
		printf(gguf_n_file(g) > 1 ? "  (part %u)\n" : "\n", t->file + 1);
		total += t->bytes;
	}
	printf("%zu tensors, %.2f MiB\n", gguf_n_tensor(g), (double)total / (1 << 20));
}

int inspect_main(const struct args *a)
{
	struct error e = { "" };
	struct gguf *g = NULL;
	json_t *model;
	int code = TOOL_OK;

	if (!a->n_word)
		return inspect_list(a);
	if (gguf_open(&g, a->word[0], &e) < 0)
		return fail(TOOL_FAILED, "%s", e.text);
	if (a->json) {
		code = inspect_json(g, a->word[0]);
	} else {
		printf("GGUF version %u, %.2f MiB\n", gguf_version(g), (double)gguf_bytes(g) / (1 << 20));
		print_files(g);
		putchar('\n');
		model = inspect_model(g, a->word[0]);
		inspect_print_model(model);
		json_decref(model);
		putchar('\n');
		print_metadata(g);
		putchar('\n');
		print_tensors(g);
	}
	gguf_close(g);
	return code;
}
