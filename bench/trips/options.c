/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdlib.h>
#include "options.h"

enum { OPTIONS_MAX = 16 };

bool options_read(int argc, char **argv, const struct option_value *values, size_t count)
{
	struct option options[OPTIONS_MAX + 1] = {0};
	bool seen[OPTIONS_MAX] = {0};
	int got, at;

	if (count > OPTIONS_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		options[i] = (struct option){.name = values[i].name,
					     .has_arg = values[i].flag ? no_argument : required_argument};
	while ((got = getopt_long(argc, argv, "", options, &at)) == 0) {
		seen[at] = true;
		if (values[at].text)
			*values[at].text = optarg;
		else if (values[at].number)
			*values[at].number = strtoull(optarg, NULL, 10);
		else
			*values[at].flag = true;
	}
	for (size_t i = 0; i < count; i++) {
		if (!seen[i] && !values[i].optional && !values[i].flag)
			return false;
	}
	return got == -1 && optind == argc;
}
