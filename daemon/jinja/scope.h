/*
 * Names become slots: the variable of each name, and the value of each variable when its scope is entered, by the rules of
 * Jinja2's compiler.
 */
#ifndef GYRE_DAEMON_JINJA_SCOPE_H
#define GYRE_DAEMON_JINJA_SCOPE_H

#include "daemon/jinja/lex.h"

/* false: the lexer's err has why (an unknown filter or test that is reached whatever happens, or no memory). */
bool jinja_resolve(struct jinja *t, struct jinja_lexer *x);

#endif
