/*
 * Probes at the borders of stages, for bpftrace, perf and gdb (tools/bpftrace/ has an example of each): provider "gyre", arguments
 * are numbers. One that nobody watches is a nop. No text of a client is ever an argument.
 *
 *	request_accepted(uid, session, request, operation)   an entry has become a request
 *	request_routed(request, prompt tokens)               it goes to an engine
 *	request_first_row(request, prompt tokens)            its first rows are planned
 *	token(request, tokens so far)                        a result of it has been written
 *	request_ended(request, res, prompt tokens, tokens)   its last completion has been written
 *	step_begin(sequences, rows, ended)                   a step is planned
 *	step_end(sequences, rows, tokens)                    its completions are published
 *	drain(sessions)                                      the rings are looked at
 *	park(live requests)                                  there is nothing to do
 */
#ifndef GYRE_DAEMON_UTIL_PROBE_H
#define GYRE_DAEMON_UTIL_PROBE_H

#include <sys/sdt.h>

#define PROBE1(name, a)          DTRACE_PROBE1(gyre, name, a)
#define PROBE2(name, a, b)       DTRACE_PROBE2(gyre, name, a, b)
#define PROBE3(name, a, b, c)    DTRACE_PROBE3(gyre, name, a, b, c)
#define PROBE4(name, a, b, c, d) DTRACE_PROBE4(gyre, name, a, b, c, d)

#endif
