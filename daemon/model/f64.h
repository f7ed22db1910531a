/*
 * Functions of doubles for what a model makes of its metadata when it is opened. The C library is not asked: its last bit differs between
 * versions and CPUs, and these numbers enter every logit. Plain IEEE arithmetic with argument reduction and Taylor series, good to about
 * 1e-15.
 */
#ifndef GYRE_DAEMON_MODEL_F64_H
#define GYRE_DAEMON_MODEL_F64_H

/* |x| < 700 */
double f64_exp(double x);
/* x normal and positive */
double f64_log(double x);
/* 0 <= x < 2^20 * pi/2 */
void f64_sincos(double x, double *sin, double *cos);

#endif
