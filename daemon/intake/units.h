/*
 * What it costs to drain the rings. Work is counted, not timed, in units of about 50 ns: a drain has DRAIN_UNITS (25 us), which the
 * users that have sessions divide, idle or not.
 */
#ifndef GYRE_DAEMON_INTAKE_UNITS_H
#define GYRE_DAEMON_INTAKE_UNITS_H

#define DRAIN_UNITS     512
#define DRAIN_UNITS_MIN 16 /* of a user: a look, an entry, and most of its options */

#define DRAIN_LOOK  1      /* at an SQ: two cold lines */
#define DRAIN_ENTRY 3      /* copied, checked, answered */
#define DRAIN_READ  8      /* a read of the arena, whatever its length: a system call */
#define DRAIN_COPY  512    /* bytes copied in a unit, */
#define DRAIN_CHECK 64     /* or copied and checked */
#define DRAIN_WORDS 16     /* said to whoever is refused */
#define DRAIN_WAKE  32     /* a client that sleeps: a system call that may run a scheduler */
#define DRAIN_PIECE 32768u /* bytes of a long prompt that are copied at once */

#endif
