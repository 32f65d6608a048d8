/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "szc-nic-units.h"

struct unit {
	const char *name;
	double size;
};

static const struct unit rates[] = {{"Tbit", 1e12}, {"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}, {0}};
static const struct unit times[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {0}};
static const struct unit shares[] = {{"%", 1e4}, {0}};

/* A number and a unit, to the end; a lone 0 needs no unit. What is less than one of the smallest unit is not exact. */
static bool parse(const char *text, const struct unit *units, double max, uint64_t *value)
{
	double number;
	char *end;

	/* strtod() would also take signs, "inf", "nan", hexadecimal and white space. */
	if (strspn(text, "0123456789.") == 0)
		return false;
	number = strtod(text, &end);
	if (end == text || (size_t)(end - text) != strspn(text, "0123456789."))
		return false;
	if (!*end && number == 0) {
		*value = 0;
		return true;
	}
	for (; units->name && strcasecmp(units->name, end) != 0; units++)
		;
	if (!units->name)
		return false;
	number = round(number * units->size * 1e3) / 1e3;
	if (number > max || number != floor(number))
		return false;
	*value = (uint64_t)number;
	return true;
}

bool units_parse_rate(const char *text, uint64_t *bits_a_second)
{
	return parse(text, rates, 1e15, bits_a_second);
}

bool units_parse_time(const char *text, uint64_t *nanoseconds)
{
	return parse(text, times, 1e9, nanoseconds);
}

bool units_parse_share(const char *text, uint32_t *in_a_million)
{
	uint64_t value;

	if (!parse(text, shares, 1e6, &value))
		return false;
	*in_a_million = (uint32_t)value;
	return true;
}

static char *render(char text[UNITS_TEXT], uint64_t value, const struct unit *units)
{
	while (units[1].name && value % (uint64_t)units->size)
		units++;
	if (!value)
		while (units[1].name)
			units++;
	snprintf(text, UNITS_TEXT, "%" PRIu64 "%s", value / (uint64_t)units->size, units->name);
	return text;
}

char *units_rate(char text[UNITS_TEXT], uint64_t bits_a_second)
{
	return render(text, bits_a_second, rates);
}

char *units_time(char text[UNITS_TEXT], uint64_t nanoseconds)
{
	return render(text, nanoseconds, times);
}

char *units_share(char text[UNITS_TEXT], uint32_t in_a_million)
{
	snprintf(text, UNITS_TEXT, "%.10g%%", in_a_million / 1e4);
	return text;
}
