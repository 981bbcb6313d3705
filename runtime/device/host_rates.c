/* host_rates.c - what the machine can do: the two rates a kernel's time is held against, and what starting a
 * launch costs. */
#include <immintrin.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "runtime/base/clock.h"
#include "runtime/device/host.h"

enum { CHAINS = 12, STEPS = 1 << 16, TASKS_PER_THREAD = 16, ROUNDS = 8 };

/* Twelve independent sums hide the four or five cycles of a multiply-add on two units. The loop is assembly
 * so that its speed depends on the processor alone, not on how the runtime was compiled. */
#define CHAINS_OF(op, reg, src)                                                                              \
  "1:\n" op " " src "," src "," reg "0\n" op " " src "," src "," reg "1\n" op " " src "," src "," reg        \
  "2\n" op " " src "," src "," reg "3\n" op " " src "," src "," reg "4\n" op " " src "," src "," reg         \
  "5\n" op " " src "," src "," reg "6\n" op " " src "," src "," reg "7\n" op " " src "," src "," reg         \
  "8\n" op " " src "," src "," reg "9\n" op " " src "," src "," reg "10\n" op " " src "," src "," reg "11\n" \
  "dec %0\n"                                                                                                 \
  "jnz 1b\n"
#define CHAIN_REGISTERS                                                                                      \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm15", \
      "cc"

/* What a task repeats. */
typedef struct {
  NetcIsa isa;
  bool pairs; /* dot products of pairs of bf16 */
} Arithmetic;

/* The registers are cleared first: what they held might be denormal, and slow. */
static void multiply_add(void *ctx, int64_t task) {
  const Arithmetic *what = ctx;
  int64_t n = STEPS;
  (void)task;
  __asm__ volatile("vzeroall" ::: CHAIN_REGISTERS);
  if (what->pairs)
    __asm__ volatile(CHAINS_OF("vdpbf16ps", "%%zmm", "%%zmm15") "vzeroupper" : "+r"(n)::CHAIN_REGISTERS);
  else if (what->isa != NETC_ISA_AVX2)
    __asm__ volatile(CHAINS_OF("vfmadd231ps", "%%zmm", "%%zmm15") "vzeroupper" : "+r"(n)::CHAIN_REGISTERS);
  else __asm__ volatile(CHAINS_OF("vfmadd231ps", "%%ymm", "%%ymm15") "vzeroupper" : "+r"(n)::CHAIN_REGISTERS);
}

static double flops_rate(Pool *pool, Arithmetic what) {
  int64_t tasks = TASKS_PER_THREAD * (int64_t)pool_threads(pool);
  double best = 0, flops = 2.0 * CHAINS * STEPS * (what.isa == NETC_ISA_AVX2 ? 8 : 16) * (what.pairs ? 2 : 1);
  for (int r = 0; r < ROUNDS; r++) {
    double start = seconds_now();
    pool_run(pool, multiply_add, &what, tasks);
    double rate = flops * (double)tasks / (seconds_now() - start);
    if (rate > best) best = rate;
  }
  return best;
}

/* ---- memory ---- */

typedef struct {
  float *a, *b, *c;
  int64_t chunk; /* floats of a task, a multiple of 8 */
} Triad;

/* Results are written past the caches, so that the bytes counted are the bytes moved: an ordinary store would
 * fetch the line first. */
__attribute__((target("avx2,fma"))) static void triad(void *ctx, int64_t task) {
  const Triad *t = ctx;
  __m256 k = _mm256_set1_ps(0.5f);
  int64_t end = (task + 1) * t->chunk;
  for (int64_t i = task * t->chunk; i < end; i += 8)
    _mm256_stream_ps(t->a + i, _mm256_fmadd_ps(k, _mm256_load_ps(t->c + i), _mm256_load_ps(t->b + i)));
  _mm_sfence();
}

static void first_touch(void *ctx, int64_t task) {
  const Triad *t = ctx;
  for (int64_t i = task * t->chunk; i < (task + 1) * t->chunk; i++) t->a[i] = t->b[i] = t->c[i] = 1;
}

/* Bytes of one of the three arrays: together four times the last cache, between 192 MiB and 1.5 GiB. */
static int64_t array_bytes(void) {
  long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  int64_t bytes = cache > 0 ? (int64_t)cache * 4 / 3 : 0;
  return bytes < INT64_C(64) << 20    ? INT64_C(64) << 20
         : bytes > INT64_C(512) << 20 ? INT64_C(512) << 20
                                      : bytes;
}

static bool bandwidth(Pool *pool, double *rate, char err[ERR_MAX]) {
  int64_t tasks = TASKS_PER_THREAD * (int64_t)pool_threads(pool), chunk = array_bytes() / 4 / tasks / 16 * 16;
  size_t bytes = (size_t)(3 * tasks * chunk) * sizeof(float);
  float *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return err_memory(err, "measuring the memory's bandwidth", (int64_t)bytes);
  madvise(p, bytes, MADV_HUGEPAGE);
  Triad t = {p, p + tasks * chunk, p + 2 * tasks * chunk, chunk};
  pool_run(pool, first_touch, &t, tasks);
  *rate = 0;
  for (int r = 0; r < ROUNDS; r++) {
    double start = seconds_now();
    pool_run(pool, triad, &t, tasks);
    double now = (double)bytes / (seconds_now() - start);
    if (now > *rate) *rate = now;
  }
  munmap(p, bytes);
  return true;
}

/* ---- launches ---- */

static void nothing(void *ctx, int64_t task) { (void)ctx, (void)task; }

/* Mean over launches as a function makes them: one after another, threads awake. */
static double launch_seconds(Pool *pool) {
  enum { LAUNCHES = 2000 };
  double start = seconds_now();
  for (int i = 0; i < LAUNCHES; i++) pool_run(pool, nothing, NULL, 4 * (int64_t)pool_threads(pool));
  return (seconds_now() - start) / LAUNCHES;
}

bool host_rates(Pool *pool, NetcIsa isa, Rates *out, char err[ERR_MAX]) {
  out->flops = flops_rate(pool, (Arithmetic){isa, false});
  out->pair_flops = isa == NETC_ISA_AVX512_BF16 ? flops_rate(pool, (Arithmetic){isa, true}) : 0;
  out->launch = launch_seconds(pool);
  return bandwidth(pool, &out->bandwidth, err);
}
