/* fiber.h - threads of one thread: each has a stack of its own and runs until it gives control back. x86-64,
 * System V. */
#ifndef NETC_FIBER_H
#define NETC_FIBER_H
#include <stdbool.h>
#include <stddef.h>

typedef struct Fibers Fibers;
/* n fibers; NULL where there is no memory for their stacks. */
Fibers *fibers_new(int n);
void fibers_free(Fibers *f);
/* Fiber i begins anew: run(arg) when it is resumed next. What it did before is forgotten. */
void fiber_start(Fibers *f, int i, void (*run)(void *), void *arg);
/* Runs fiber i until it pauses or ends; false: it has ended. Not from inside of a fiber. */
bool fiber_resume(Fibers *f, int i);
/* Gives control back to whoever resumed the fiber that runs. */
void fiber_pause(Fibers *f);
#endif
