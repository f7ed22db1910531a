/*
 * Sessions change hands: the control thread attaches and detaches them (intake.h), whoever is at the desk takes them into its table
 * and drops them, and the last who holds one gives it back. What is on its way lies in three lists under mail_lock.
 */
#ifndef GYRE_DAEMON_INTAKE_MAIL_H
#define GYRE_DAEMON_INTAKE_MAIL_H

#include "daemon/intake/intake.h"

/* At the desk: takes in what has come and drops what is to go. */
void mail_read(struct intake *i);
/* Puts a request back into the pool, and gives its session back if that was the last of it. */
void mail_let_go(struct intake *i, struct request *r);

#endif
