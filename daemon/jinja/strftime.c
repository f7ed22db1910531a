/*
 * Dates by the calendar alone: the C library would read the time zone's file, take the heap, and follow the locale.
 */
#include "daemon/jinja/build.h"
#include "daemon/jinja/format.h"

#include <stdio.h>

struct moment {
	int64_t year, epoch;
	int month, day, hour, minute, second; /* month and day from 1 */
	int week_day, year_day;               /* Sunday is 0; from 0 */
};

static const char *const weekday[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
static const char *const month[] = { "January", "February", "March",     "April",   "May",      "June",
				     "July",    "August",   "September", "October", "November", "December" };

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970-01-01 as a date: eras of 400 years that begin in March. */
static struct moment moment(int64_t now)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int64_t days = now / 86400, rest = now % 86400, era, year;
	struct moment m = { .epoch = now };
	int64_t of_era, of_year, shifted;

	if (rest < 0) {
		rest += 86400;
		days--;
	}
	m.week_day = (int)(((days % 7) + 11) % 7);
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	of_era = days - era * 146097;
	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year + year / 4 - year / 100);
	shifted = (5 * of_year + 2) / 153;
	m.day = (int)(of_year - (153 * shifted + 2) / 5) + 1;
	m.month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
	m.year = year + era * 400 + (m.month <= 2);
	m.hour = (int)(rest / 3600);
	m.minute = (int)(rest / 60 % 60);
	m.second = (int)(rest % 60);
	m.year_day = before[m.month - 1] + m.day - 1 + (m.month > 2 && is_leap(m.year));
	return m;
}

/* ISO 8601: week and the year that it belongs to. */
static int iso_week(const struct moment *m, int64_t *year)
{
	int day = (m->week_day + 6) % 7, week = (m->year_day - day + 10) / 7;
	int64_t y = m->year;
	int jan1 = (int)((((m->week_day - m->year_day) % 7) + 7) % 7);
	bool long_year = jan1 == 4 || (jan1 == 3 && is_leap(y));

	*year = y;
	if (week < 1) {
		int days = 365 + is_leap(y - 1);
		struct moment last = { .year = y - 1, .week_day = (jan1 + 6) % 7, .year_day = days - 1 };

		return iso_week(&last, year);
	}
	if (week == 53 && !long_year) {
		*year = y + 1;
		return 1;
	}
	return week;
}

static int twelve(int hour)
{
	return hour % 12 ? hour % 12 : 12;
}

/* A number with its width and its fill, as the flag behind '%' says: "-" nothing, "_" blanks, "0" zeros. */
static void number(struct jinja_build *b, int64_t n, int width, char fill, char flag)
{
	char text[32];

	fill = flag == '_' ? ' ' : flag == '0' ? '0' : fill;
	snprintf(text, sizeof(text), fill == '0' ? "%0*lld" : "%*lld", flag == '-' ? 1 : width, (long long)n);
	jinja_add_word(b, text);
}

static bool numeric(struct jinja_build *b, const struct moment *m, char c, char flag)
{
	int64_t iso_year;
	int week = iso_week(m, &iso_year);
	const struct {
		char c;
		int64_t n;
		int width;
		char fill;
	} row[] = {
		{ 'd', m->day, 2, '0' },
		{ 'e', m->day, 2, ' ' },
		{ 'H', m->hour, 2, '0' },
		{ 'k', m->hour, 2, ' ' },
		{ 'I', twelve(m->hour), 2, '0' },
		{ 'l', twelve(m->hour), 2, ' ' },
		{ 'j', m->year_day + 1, 3, '0' },
		{ 'm', m->month, 2, '0' },
		{ 'M', m->minute, 2, '0' },
		{ 'S', m->second, 2, '0' },
		{ 'f', 0, 6, '0' },
		{ 's', m->epoch, 1, '0' },
		{ 'u', m->week_day ? m->week_day : 7, 1, '0' },
		{ 'w', m->week_day, 1, '0' },
		{ 'y', m->year % 100, 2, '0' },
		{ 'Y', m->year, 1, '0' },
		{ 'C', m->year / 100, 2, '0' },
		{ 'G', iso_year, 4, '0' },
		{ 'g', iso_year % 100, 2, '0' },
		{ 'V', week, 2, '0' },
		{ 'U', (m->year_day + 7 - m->week_day) / 7, 2, '0' },
		{ 'W', (m->year_day + 7 - (m->week_day + 6) % 7) / 7, 2, '0' },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (row[i].c == c) {
			number(b, row[i].n, row[i].width, row[i].fill, flag);
			return true;
		}
	return false;
}

static const char *composed(char c)
{
	switch (c) {
	case 'c':
		return "%a %b %e %H:%M:%S %Y";
	case 'D':
	case 'x':
		return "%m/%d/%y";
	case 'F':
		return "%Y-%m-%d";
	case 'r':
		return "%I:%M:%S %p";
	case 'R':
		return "%H:%M";
	case 'T':
	case 'X':
		return "%H:%M:%S";
	case 'n':
		return "\n";
	case 't':
		return "\t";
	case '%':
		return "%%";
	default:
		return NULL;
	}
}

static void word(struct jinja_build *b, const char *text, size_t n, char flag)
{
	for (; n && *text; n--, text++) {
		char c = *text;

		if (flag == '^' && c >= 'a' && c <= 'z')
			c -= 32;
		jinja_add(b, &c, 1, NULL);
	}
}

static void expand(struct jinja_build *b, const struct moment *m, const char *p, size_t n);

static void conversion(struct jinja_build *b, const struct moment *m, char c, char flag)
{
	const char *parts = composed(c);

	if (c == '%')
		jinja_add_word(b, "%");
	else if (parts)
		expand(b, m, parts, strlen(parts));
	else if (c == 'a' || c == 'A')
		word(b, weekday[m->week_day], c == 'a' ? 3 : 9, flag);
	else if (c == 'b' || c == 'B' || c == 'h')
		word(b, month[m->month - 1], c == 'B' ? 9 : 3, flag);
	else if (c == 'p' || c == 'P')
		jinja_add_word(b, m->hour < 12 ? (c == 'p' ? "AM" : "am") : (c == 'p' ? "PM" : "pm"));
	else if (c != 'z' && c != 'Z' && !numeric(b, m, c, flag)) {
		char text[3] = { '%', c, 0 };

		jinja_add(b, text, 2, NULL);
	}
}

static void expand(struct jinja_build *b, const struct moment *m, const char *p, size_t n)
{
	for (size_t i = 0; i < n && jinja_step(b->s, 1); i++) {
		char flag = 0;

		if (p[i] != '%' || i + 1 == n) {
			jinja_add(b, p + i, 1, NULL);
			continue;
		}
		i++;
		if (p[i] && strchr("-_0^#", p[i]) && i + 1 < n)
			flag = p[i++];
		conversion(b, m, p[i], flag);
	}
}

struct jinja_value *jinja_strftime(struct jinja_scratch *s, const struct jinja_value *format, int64_t now)
{
	int64_t bound = (int64_t)1 << 40; /* some 34,000 years */
	struct moment m = moment(now > bound ? bound : now < -bound ? -bound : now);
	struct jinja_build b;

	jinja_build_init(&b, s, 0);
	expand(&b, &m, format->s.p, format->n);
	return jinja_built(&b);
}
