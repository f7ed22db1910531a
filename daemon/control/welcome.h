/*
 * The answer to a hello: what is served, and the descriptors of a session if there is one.
 */
#ifndef GYRE_DAEMON_CONTROL_WELCOME_H
#define GYRE_DAEMON_CONTROL_WELCOME_H

#include "daemon/control/admit.h"

/*
 * n has said hello and is told. 1: not yet, its model is being loaded. 0: n->session has been made, and is nobody's yet. -EPROTO: the connection ends; n->session, if there is
 * one, with it.
 */
int welcome(const struct admit *a, struct connection *n);

#endif
