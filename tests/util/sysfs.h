/*
 * Another machine's /proc and /sys, from a text file of lines `path = content`: as much of them as topology_read looks at.
 *   {0-31}, {0-30:2} in a path: a line for each number n of the range, with a step
 *   {+64}, {*8+7} in the content: n + 64, n * 8 + 7;  \n: a new line;  # begins a comment line
 */
#ifndef GYRE_TESTS_UTIL_SYSFS_H
#define GYRE_TESTS_UTIL_SYSFS_H

#include <stddef.h>

/* Makes a temporary folder and writes the files below it; fails the test if that cannot be done. */
void sysfs_make(char *root, size_t n, const char *machine);
void sysfs_write(const char *root, const char *path, const char *text);
void sysfs_remove(const char *root);

#endif
