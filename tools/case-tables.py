#!/usr/bin/env python3
"""Writes daemon/jinja/unicode_class.h and unicode_case.h: the answers of this Python's str methods for characters past ASCII and below."""
import pathlib
import sys
import unicodedata

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "daemon" / "jinja"
CHARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HEAD = """/*
 * Tables of characters, as Python %s knows them (Unicode %s). Written by tools/case-tables.py.
 */
#ifndef GYRE_DAEMON_JINJA_%s_H
#define GYRE_DAEMON_JINJA_%s_H

#include <stdint.h>

"""
RUN = """/* Each step-th character from first to last. */
struct run {
	uint32_t first, last, step;
};

"""
CASE = """#include "daemon/jinja/unicode_class.h"

/* Each step-th character from first to last becomes the one that lies `by` further. */
struct shift {
	uint32_t first, last, step;
	int32_t by;
};

/* A character that becomes up to three, or another one. */
struct spell {
	uint32_t c, as[3];
};

"""


def runs(pairs):
    """(first, last, step, value) of ascending (character, value)."""
    i, out = 0, []
    while i < len(pairs):
        best = i, 1
        for step in 1, 2:
            j = i
            while j + 1 < len(pairs) and pairs[j + 1] == (pairs[j][0] + step, pairs[i][1]):
                j += 1
            if j > best[0] + (step > 1):
                best = j, step
        out.append((pairs[i][0], pairs[best[0]][0], best[1], pairs[i][1]))
        i = best[0] + 1
    return out


def table(kind, name, comment, rows):
    lines, line = [], "\t"
    for row in rows:
        if len(line.expandtabs(8)) + len(row) > 118:
            lines.append(line.rstrip())
            line = "\t"
        line += row + ", "
    return "/* %s */\nstatic const struct %s %s[] = {\n%s\n};\n\n" % (comment, kind, name, "\n".join(lines + [line.rstrip()]))


def members(name, comment, has):
    found = runs([(c, 0) for c in CHARS if has(chr(c))])
    return table("run", name, comment, ["{ 0x%x, 0x%x, %d }" % r[:3] for r in found])


def shifts(name, comment, to):
    found = runs([(c, ord(to(chr(c))) - c) for c in CHARS if c > 127 and len(to(chr(c))) == 1 and to(chr(c)) != chr(c)])
    return table("shift", name, comment, ["{ 0x%x, 0x%x, %d, %d }" % r for r in found])


def spells(name, comment, found):
    rows = ["{ 0x%x, { %s } }" % (c, ", ".join("0x%x" % ord(x) for x in (t + "\0\0")[:3])) for c, t in found]
    return table("spell", name, comment, rows)


def is_skipped(c):
    return ("a\u03a3" + c + "a").lower()[1] == "\u03c3" and ("a\u03a3" + c).lower()[1] != "\u03c3"


def several(to):
    return [(c, to(chr(c))) for c in CHARS if len(to(chr(c))) > 1]


def write(name, guard, body):
    version = sys.version.split()[0], unicodedata.unidata_version
    (FOLDER / name).write_text(HEAD % (*version, guard, guard) + body + "#endif\n")


write("unicode_class.h", "UNICODE_CLASS", RUN
      + members("hidden", "str.isprintable says no", lambda c: not c.isprintable())
      + members("letters", "str.isalpha", str.isalpha)
      + members("digits", "str.isdigit", str.isdigit)
      + members("decimals", "str.isdecimal", str.isdecimal)
      + members("numerics", "str.isnumeric, and no digit", lambda c: c.isnumeric() and not c.isdigit()))
write("unicode_case.h", "UNICODE_CASE", CASE
      + members("lowers", "str.islower", str.islower)
      + members("uppers", "str.isupper", str.isupper)
      + members("titles", "str.istitle, and not isupper", lambda c: c.istitle() and not c.isupper())
      + members("skipped", "looked past when a capital sigma asks whether it is the last letter", is_skipped)
      + shifts("to_upper", "str.upper, past ASCII", str.upper)
      + shifts("to_lower", "str.lower, past ASCII", str.lower)
      + spells("upper_spelled", "str.upper gives several", several(str.upper))
      + spells("lower_spelled", "str.lower gives several", several(str.lower))
      + spells("title_spelled", "str.title where it is not str.upper",
               [(c, chr(c).title()) for c in CHARS if c > 127 and chr(c).title() != chr(c).upper()]))
