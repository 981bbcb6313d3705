/* clock.h - a steady clock. */
#ifndef NETRUN_CLOCK_H
#define NETRUN_CLOCK_H

double seconds_now(void); /* since some moment in the past; never goes back */
#endif
