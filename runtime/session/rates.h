/* rates.h - what a device can do at best: what a kernel's time is held against. */
#ifndef NETRUN_RATES_H
#define NETRUN_RATES_H

typedef struct {
  double flops;      /* per second: multiply-adds in registers, two flops each, on all threads of the pool */
  double pair_flops; /* the same in dot products of pairs of bf16; 0 where the device has none */
  /* bytes per second: a[i] = b[i] + c * d[i] over arrays larger than the caches, all threads */
  double bandwidth;
  double launch; /* seconds a launch of empty tasks takes */
} Rates;
#endif
