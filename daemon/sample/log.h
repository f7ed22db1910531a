/*
 * The natural logarithm from IEEE additions, multiplications and one division alone, so that every machine gives the same
 * bits (libm promises none). Error below 1 ulp of a float.
 */
#ifndef GYRE_DAEMON_SAMPLE_LOG_H
#define GYRE_DAEMON_SAMPLE_LOG_H

/* x a positive normal number; +infinity for +infinity; NaN for anything else. */
float sample_log(float x);

#endif
