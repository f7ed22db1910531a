/*
 * A strict reader of Prometheus text 0.0.4, of gyre's kind: each family has HELP and TYPE once and before its samples, which follow each
 * other; names and labels are well formed; a counter's name ends in _total; buckets ascend in bound and count, the last is +Inf and the
 * count. It says the first thing that is wrong.
 */
#ifndef GYRE_TESTS_UTIL_PROMETHEUS_H
#define GYRE_TESTS_UTIL_PROMETHEUS_H

#include <stddef.h>

/* NULL: nothing is wrong with text; else what, valid until the next call. */
const char *prometheus_check(const char *text);
/* The sum of all samples of exactly this name, whose labels contain `label` ("": any). -1: there is none. */
double prometheus_sum(const char *text, const char *name, const char *label);

#endif
