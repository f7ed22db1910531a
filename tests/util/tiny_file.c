#include "tests/util/tiny_file.h"

void tiny_put(struct tiny_file *f, const void *p, size_t n)
{
	fwrite(p, 1, n, f->f);
}

void tiny_str(struct tiny_file *f, const char *s)
{
	uint64_t n = strlen(s);

	tiny_put(f, &n, 8);
	tiny_put(f, s, n);
}

const char *tiny_arch_name(const struct tiny *o)
{
	return o->arch ? o->arch : "llama";
}

void tiny_full_key(char to[TINY_KEY_BYTES], const struct tiny *o, const char *key)
{
	snprintf(to, TINY_KEY_BYTES, "%s%s", key[0] == '.' ? tiny_arch_name(o) : "", key);
}

/* Does the test have another value for it? */
bool tiny_is_replaced(const struct tiny_file *f, const char *name, const void *v)
{
	char other[TINY_KEY_BYTES];

	for (size_t i = 0; i < f->o->n_kv; i++) {
		tiny_full_key(other, f->o, f->o->kv[i].key);
		if (!strcmp(other, name) && f->o->kv[i].value != v)
			return true;
	}
	return false;
}

void tiny_key(struct tiny_file *f, const char *key, uint32_t type, const void *v, size_t n)
{
	char name[TINY_KEY_BYTES];

	tiny_full_key(name, f->o, key);
	if (tiny_is_replaced(f, name, v))
		return;
	f->n_kv++;
	tiny_str(f, name);
	tiny_put(f, &type, 4);
	tiny_put(f, v, n);
}

void tiny_u32(struct tiny_file *f, const char *key, uint32_t v)
{
	tiny_key(f, key, 4, &v, 4);
}

void tiny_text(struct tiny_file *f, const char *key, const char *text)
{
	if (tiny_is_replaced(f, key, text))
		return;
	f->n_kv++;
	tiny_str(f, key);
	tiny_put(f, &(uint32_t){ 8 }, 4);
	tiny_str(f, text);
}

void tiny_array(struct tiny_file *f, const char *key, uint32_t type, uint64_t n)
{
	f->n_kv++;
	tiny_str(f, key);
	tiny_put(f, &(uint32_t){ 9 }, 4);
	tiny_put(f, &type, 4);
	tiny_put(f, &n, 8);
}
