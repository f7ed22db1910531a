#include "daemon/config/option.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define OPTION_FIRST 256 /* getopt's value for option_table[0] */
#define EXTRA        5   /* options that are no keys */

static void list_options(struct option *list)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		*list++ = (struct option){ option_table[i].key, required_argument, NULL, OPTION_FIRST + (int)i };
	*list++ = (struct option){ "config", required_argument, NULL, 'c' };
	*list++ = (struct option){ "check", no_argument, NULL, 'C' };
	*list++ = (struct option){ "print", required_argument, NULL, 'P' };
	*list++ = (struct option){ "help", no_argument, NULL, 'h' };
	*list++ = (struct option){ "version", no_argument, NULL, 'V' };
	*list = (struct option){ 0 };
}

/* An option that getopt did not take. word: the argument that getopt has just stepped over, unless that is a cluster of letters. */
static int refuse_option(int o, const char *word, struct error *e)
{
	bool is_flag = optopt == 'h' || optopt == 'V' || optopt == 'C', is_long = !strncmp(word, "--", 2);
	size_t n = is_long ? strcspn(word + 2, "=") : 0;

	if (o == ':')
		return error_set(e, -EINVAL, "%s needs a value; gyred --help says which", word);
	if (is_flag && is_long)
		return error_set(e, -EINVAL, "--%.*s takes no value", (int)n, word + 2);
	if (optopt && optopt < OPTION_FIRST)
		return error_set(e, -EINVAL, "unknown option '-%c'; gyred --help lists them", optopt);
	return option_refuse("", "option", word + 2, n, e);
}

/* One pass over the options: of the files that --config names, or of all others. */
static int parse_options(struct config *c, int argc, char **argv, bool is_file, struct error *e)
{
	struct option_section at = { .is_command_line = true };
	struct option list[OPTION_COUNT + EXTRA + 1];
	int o, r = 0;

	list_options(list);
	optind = 0;
	opterr = 0;
	while (r == 0 && (o = getopt_long(argc, argv, "+:c:hV", list, NULL)) != -1) {
		if (o == 'h' || o == 'V')
			return o == 'h' ? CONFIG_HELP : CONFIG_VERSION;
		c->is_check |= o == 'C';
		if (o == 'P') {
			c->print = optarg;
			return CONFIG_PRINT;
		}
		if (o == '?' || o == ':')
			return refuse_option(o, argv[optind - 1], e);
		if (o == 'c' && !*optarg)
			return error_set(e, -EINVAL, "--config needs a value: FILE");
		if (o == 'c' && is_file)
			r = config_file_read(c, optarg, e);
		else if (o >= OPTION_FIRST && !is_file)
			r = option_set(c, &at, &option_table[o - OPTION_FIRST], optarg, e);
	}
	return r;
}

void config_name_model(struct config_model *m)
{
	const char *slash = strrchr(m->file, '/'), *base = slash ? slash + 1 : m->file;
	size_t n = strlen(base);

	if (n > 5 && !strcmp(base + n - 5, ".gguf"))
		n -= 5;
	if (!*m->name)
		snprintf(m->name, sizeof(m->name), "%.*s", (int)n, base);
}

/* Two of one name could not be told apart. */
static int name_models(struct config *c, struct error *e)
{
	uint32_t key = option_index(option_find("name"));
	char where[PATH_MAX + 16];

	for (uint32_t i = 0; i < c->n_model; i++) {
		config_name_model(&c->model[i]);
		for (uint32_t k = 0; k < i; k++)
			if (!strcmp(c->model[k].name, c->model[i].name))
				return error_set(e, -EINVAL,
						 "%sname: two models are '%s'; give one of them a name of its own",
						 config_where(c, &c->model[i].origin[key], where, sizeof(where)),
						 c->model[i].name);
	}
	return 0;
}

int config_parse(struct config *c, int argc, char **argv, struct error *e)
{
	int r;

	option_set_defaults(c);
	r = parse_options(c, argc, argv, true, e); /* the file comes first wherever it stands */
	if (r == 0)
		r = parse_options(c, argc, argv, false, e);
	if (r != 0)
		return r;
	if (optind < argc)
		return error_set(e, -EINVAL, "%s: gyred takes options only; gyred --help lists them", argv[optind]);
	if (!c->n_model)
		return error_set(e, -EINVAL, "no model: say --model FILE.gguf");
	option_inherit(c);
	r = name_models(c, e);
	return r < 0 ? r : c->is_check ? CONFIG_CHECK : CONFIG_RUN;
}
