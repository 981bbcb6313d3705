/* fiber.c - a switch saves what a call preserves on the stack it leaves, and takes it from the one it enters.
 * Below every stack lies a page that nobody may touch. */
#include "codegen/emulator/fiber.h"
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

enum { PAGE = 4096, STACK = 128 << 10, SAVED = 6 };

typedef struct {
  void *sp;
  void (*run)(void *);
  void *arg;
  bool ended;
} Fiber;

struct Fibers {
  int n, current;
  uint8_t *stacks;
  void *home; /* stack pointer of whoever resumes */
  const void *home_stack;
  size_t home_bytes;
  Fiber fiber[];
};

/* *save = this stack; goes on where `to` was left. Only what a called function must keep is kept. */
__attribute__((visibility("hidden"))) void fiber_change_stack(void **save, void *to);
__asm__(".pushsection .text\n"
        ".globl fiber_change_stack\n"
        ".hidden fiber_change_stack\n"
        ".type fiber_change_stack, @function\n"
        "fiber_change_stack:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n  ret\n"
        ".size fiber_change_stack, . - fiber_change_stack\n"
        ".popsection");

/* AddressSanitizer wants to know which stack is in use. */
static void leave(void **keep, const void *bottom, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(keep, bottom, bytes);
#else
  (void)keep, (void)bottom, (void)bytes;
#endif
}
static void arrive(void *kept, const void **bottom, size_t *bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(kept, bottom, bytes);
#else
  (void)kept, (void)bottom, (void)bytes;
#endif
}

/* Frames of fibers that never ended are no longer in anyone's way. */
static void forget(void *stack, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack, bytes);
#else
  (void)stack, (void)bytes;
#endif
}

static _Thread_local Fibers *running;

static uint8_t *stack_of(const Fibers *f, int i) { return f->stacks + (size_t)i * (PAGE + STACK) + PAGE; }

static void first(void) {
  Fibers *f = running;
  Fiber *me = &f->fiber[f->current];
  arrive(NULL, &f->home_stack, &f->home_bytes);
  me->run(me->arg);
  me->ended = true;
  leave(NULL, f->home_stack, f->home_bytes);
  fiber_change_stack(&me->sp, f->home);
  abort(); /* an ended fiber is not resumed */
}

Fibers *fibers_new(int n) {
  size_t bytes = (size_t)n * (PAGE + STACK);
  Fibers *f = calloc(1, sizeof *f + (size_t)n * sizeof *f->fiber);
  if (!f) return NULL;
  f->n = n;
  f->stacks = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (f->stacks == MAP_FAILED) {
    free(f);
    return NULL;
  }
  for (int i = 0; i < n; i++) mprotect(stack_of(f, i) - PAGE, PAGE, PROT_NONE);
  return f;
}

void fibers_free(Fibers *f) {
  if (!f) return;
  forget(f->stacks, (size_t)f->n * (PAGE + STACK));
  munmap(f->stacks, (size_t)f->n * (PAGE + STACK));
  free(f);
}

/* A call leaves the stack 8 bytes off a multiple of 16: so must the first `ret`, which enters `first`. */
void fiber_start(Fibers *f, int i, void (*run)(void *), void *arg) {
  void **top = (void **)(void *)(stack_of(f, i) + STACK) - 2;
  forget(stack_of(f, i), STACK);
  *top = (void *)(uintptr_t)first;
  for (int k = 1; k <= SAVED; k++) top[-k] = NULL;
  f->fiber[i] = (Fiber){.sp = top - SAVED, .run = run, .arg = arg};
}

bool fiber_resume(Fibers *f, int i) {
  void *kept = NULL;
  running = f;
  f->current = i;
  leave(&kept, stack_of(f, i), STACK);
  fiber_change_stack(&f->home, f->fiber[i].sp);
  arrive(kept, NULL, NULL);
  return !f->fiber[i].ended;
}

void fiber_pause(Fibers *f) {
  void *kept = NULL;
  int me = f->current;
  leave(&kept, f->home_stack, f->home_bytes);
  fiber_change_stack(&f->fiber[me].sp, f->home);
  arrive(kept, &f->home_stack, &f->home_bytes);
}
