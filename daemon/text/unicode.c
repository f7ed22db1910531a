#include "daemon/text/unicode.h"

#include <utf8proc.h>

enum unicode_kind unicode_kind(uint32_t cp)
{
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CS:
		return UNICODE_CONTROL;
	case UTF8PROC_CATEGORY_ZS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return UNICODE_SPACE;
	case UTF8PROC_CATEGORY_PC:
	case UTF8PROC_CATEGORY_PD:
	case UTF8PROC_CATEGORY_PS:
	case UTF8PROC_CATEGORY_PE:
	case UTF8PROC_CATEGORY_PI:
	case UTF8PROC_CATEGORY_PF:
	case UTF8PROC_CATEGORY_PO:
		return UNICODE_PUNCT;
	case UTF8PROC_CATEGORY_MN:
		return UNICODE_ACCENT;
	default:
		return UNICODE_OTHER;
	}
}

uint8_t unicode_combining(uint32_t cp)
{
	return (uint8_t)utf8proc_get_property((utf8proc_int32_t)cp)->combining_class;
}

int unicode_decompose(uint32_t cp, uint32_t *out)
{
	utf8proc_int32_t d[UNICODE_DECOMPOSED_MAX];
	int boundary = 0;
	utf8proc_ssize_t n =
		utf8proc_decompose_char((utf8proc_int32_t)cp, d, UNICODE_DECOMPOSED_MAX, UTF8PROC_DECOMPOSE, &boundary);

	if (n < 1 || n > UNICODE_DECOMPOSED_MAX) {
		out[0] = cp;
		return 1;
	}
	for (utf8proc_ssize_t i = 0; i < n; i++)
		out[i] = (uint32_t)d[i];
	return (int)n;
}

uint32_t unicode_lower(uint32_t cp)
{
	return (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
}
