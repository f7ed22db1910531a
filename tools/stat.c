#include "tools/tool.h"

#include <stdlib.h>
#include <string.h>

int stat_main(const struct args *a)
{
	char text[65536];
	json_error_t why;
	const char *key;
	json_t *j, *value;
	struct link l;
	ssize_t n;
	int code = link_open(&l, a);

	if (code != TOOL_OK)
		return code;
	n = gyre_query_stats(l.g, text, sizeof(text));
	if (n < 0) {
		code = fail(TOOL_FAILED, "statistics: %s", strerror((int)-n));
	} else if (!(j = json_loads(text, 0, &why))) {
		code = fail(TOOL_FAILED,
			    "statistics: the daemon's answer is no JSON (%s); gyre and gyred may differ in version",
			    why.text);
	} else if (json_object_set_new(j, "model", json_string(l.info.model)), a->json) {
		code = print_json(j);
	} else {
		json_object_foreach(j, key, value)
		{
			char *v = json_dumps(value, JSON_ENCODE_ANY);

			printf("%-18s %s\n", key, json_is_string(value) ? json_string_value(value) : v);
			free(v);
		}
		json_decref(j);
	}
	link_close(&l);
	return code;
}
