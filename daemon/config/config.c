#include "daemon/config/option.h"

#include "kernels/kernels.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define OPTION_FIRST 256 /* getopt's value for option_table[0] */

static void list_options(struct option *list)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		*list++ = (struct option){ option_table[i].key, required_argument, NULL, OPTION_FIRST + (int)i };
	*list++ = (struct option){ "config", required_argument, NULL, 'c' };
	*list++ = (struct option){ "help", no_argument, NULL, 'h' };
	*list++ = (struct option){ "version", no_argument, NULL, 'V' };
	*list = (struct option){ 0 };
}

/* An option that getopt did not take. word: the argument that getopt has just stepped over, unless that is a cluster of letters. */
static int refuse_option(int o, const char *word, struct error *e)
{
	bool is_flag = optopt == 'h' || optopt == 'V', is_long = !strncmp(word, "--", 2);
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
	struct option list[OPTION_COUNT + 4];
	int o, r = 0;

	list_options(list);
	optind = 0;
	opterr = 0;
	while (r == 0 && (o = getopt_long(argc, argv, "+:c:hV", list, NULL)) != -1) {
		if (o == 'h' || o == 'V')
			return o == 'h' ? CONFIG_HELP : CONFIG_VERSION;
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
	for (uint32_t i = 0; i < c->n_model; i++) {
		config_name_model(&c->model[i]);
		for (uint32_t k = 0; k < i; k++)
			if (!strcmp(c->model[k].name, c->model[i].name))
				return error_set(e, -EINVAL,
						 "name: two models are '%s'; give one of them a name of its own",
						 c->model[i].name);
	}
	return CONFIG_RUN;
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
	return name_models(c, e);
}

void config_print_help(FILE *f)
{
	fputs("usage: gyred --model FILE [option...]\n\nServes a GGUF model to processes of this host through shared "
	      "memory.\n\n",
	      f);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		char left[64], isas[KERNELS_LIST_BYTES];

		snprintf(left, sizeof(left), "--%s %s", option_table[i].key, option_table[i].argument);
		fprintf(f, "  %-22s %s", left, option_table[i].text);
		if (option_table[i].kind == KIND_ISA)
			fprintf(f, " %s", kernels_isa_names(isas, sizeof(isas), false));
		fprintf(f, *option_table[i].preset ? " (default %s)\n" : "\n", option_table[i].preset);
	}
	fputs("  --config FILE          read options from lines of `key = value` first\n"
	      "  --help, --version\n",
	      f);
}
