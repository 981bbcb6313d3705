/* machine.h - what kernels are sized for. Emission is for one machine: the host, whose kernels are written once for every
 * instruction set it may have, or a GPU, whose kernels are written once, with a warp's 32 threads as lanes. The numbers decide
 * tiles, tasks and workspaces, and with them the order of sums; none depends on the machine at hand.
 */
#ifndef NETC_MACHINE_H
#define NETC_MACHINE_H
#include <stdbool.h>
#include <stdint.h>
#include "codegen/abi.h"

typedef struct {
  const char *name;
  bool simt;        /* lanes are threads, tasks are warps */
  int isas;         /* what is planned is planned for isas 0 .. isas - 1, .. */
  unsigned kernels; /* .. kernels are written for these of them, a bit each */
  struct {
    int lanes, nregs; /* vector registers; emitters size their tiles by it */
  } isa[NETC_ISA_COUNT];
  int64_t tasks;       /* of a launch where there is work enough */
  int64_t task_macs;   /* multiply-adds below which another task is not worth it, */
  int64_t task_cost;   /* and bytes and operations of elementwise work */
  int64_t task_visits; /* elements that a task moves */
  int64_t task_rows;   /* rows of a depthwise weight gradient that a task sums at least */
  int64_t scratch;     /* bytes of scratch of a task, at most, where the shape leaves a choice; */
  int64_t max_scratch; /* a kernel of more is refused */
  int64_t near_bytes;  /* of cache that a task may count on */
  int64_t box_pixels;  /* that a weight gradient packs at once; */
  int64_t x_bytes;     /* its packed operand, */
  int64_t parts_bytes; /* and its partial sums, at most */
  int64_t sms;         /* that blocks are spread over, where blocks have several warps */
  int64_t part_steps;  /* of a summed axis that is cut, of a part at least, */
  int64_t launch_cost; /* and the launch that adds its parts, in tf32 products of a processor; */
  int64_t byte_cost;   /* so many a processor makes while its share of memory takes a byte */
} Machine;

extern const Machine machine_host, machine_gpu;
#endif
