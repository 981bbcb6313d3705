/* netc.c - the compiler's command line: reads options, runs the layers in order, turns their errors into
 * exit 1. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "frontend/frontend.h"
#include "frontend/driver/cache.h"
#include "passes/passes.h"
#include "codegen/codegen.h"
#include "codegen/isa.h"
#include "codegen/util/clock.h"

static const char usage[] =
    "usage: netc FILE.net -o OUT.so [options]\n"
    "\n"
    "Compiles the networks and the training schedule of FILE.net into one shared object for netrun.\n"
    "\n"
    "  -o, --output OUT.so     where the module goes\n"
    "  -D NAME=VALUE           sets an option of the file: 4, [128,128], \"code\", on (may be repeated)\n"
    "      --memory SIZE       computes values again until training fits: 4G, 900M (units of 1024)\n"
    "      --target LIST       what to compile for: host, this machine's best instruction set (default); "
    "x86-64-v3,\n"
    "                          x86-64-v4, x86-64-v4+bf16; portable, all of these; ptx, NVIDIA GPUs besides\n"
    "      --emit WHAT         prints ast, graph, kernels, llvm, asm, ptx or plan to standard output; with "
    "ast "
    "and\n"
    "                          graph, and without -o, nothing else is done\n"
    "      --dump-after PASS   prints the graph after a pass (all: after every pass)\n"
    "      --no-grads          leaves out NAME.grads, the training function that also returns every "
    "gradient\n"
    "      --explain           lists every kernel with its arithmetic, memory traffic and the least time "
    "they take\n"
    "      --peak-gflops N     .. on a machine of N GFLOP/s (default 200: two cores with AVX2)\n"
    "      --bandwidth N       .. and N GB/s of memory (default 40); netrun bench measures both\n"
    "      --verify            checks the graph after every pass and every kernel (slower)\n"
    "      --threads N         compile with N threads (default: the machine's)\n"
    "      --no-cache          neither uses nor keeps results of earlier compiles\n"
    "      --cache-dir DIR     keeps them there (default: $NETC_CACHE, else ~/.cache/netc)\n"
    "      --time              tells on standard error where the time went\n"
    "      --passes            lists the passes\n"
    "      --help, --version\n"
    "\n"
    "Errors are reported as FILE:LINE:COLUMN: error: ... and make netc exit with status 1.\n";

enum {
  OPT_TARGET = 256,
  OPT_MEMORY,
  OPT_EMIT,
  OPT_DUMP,
  OPT_NO_GRADS,
  OPT_EXPLAIN,
  OPT_PEAK,
  OPT_BANDWIDTH,
  OPT_VERIFY,
  OPT_THREADS,
  OPT_NO_CACHE,
  OPT_CACHE_DIR,
  OPT_TIME,
  OPT_PASSES,
  OPT_VERSION
};

static const struct option long_options[] = {{"output", required_argument, NULL, 'o'},
                                             {"memory", required_argument, NULL, OPT_MEMORY},
                                             {"target", required_argument, NULL, OPT_TARGET},
                                             {"emit", required_argument, NULL, OPT_EMIT},
                                             {"dump-after", required_argument, NULL, OPT_DUMP},
                                             {"no-grads", no_argument, NULL, OPT_NO_GRADS},
                                             {"explain", no_argument, NULL, OPT_EXPLAIN},
                                             {"verify", no_argument, NULL, OPT_VERIFY},
                                             {"threads", required_argument, NULL, OPT_THREADS},
                                             {"no-cache", no_argument, NULL, OPT_NO_CACHE},
                                             {"cache-dir", required_argument, NULL, OPT_CACHE_DIR},
                                             {"time", no_argument, NULL, OPT_TIME},
                                             {"passes", no_argument, NULL, OPT_PASSES},
                                             {"peak-gflops", required_argument, NULL, OPT_PEAK},
                                             {"bandwidth", required_argument, NULL, OPT_BANDWIDTH},
                                             {"help", no_argument, NULL, 'h'},
                                             {"version", no_argument, NULL, OPT_VERSION},
                                             {NULL, 0, NULL, 0}};

typedef struct {
  const char *input;
  Define define[64];
  FrontendOptions frontend;
  PassOptions passes;
  CodegenOptions codegen;
  bool emit_ast, emit_graph;
  int64_t memory; /* bytes training may take; 0 = not said */
  bool verify, no_cache, time;
  const char *cache_dir;
} Command;

static int fail(const char *message) {
  fprintf(stderr, "netc: %s\n", message);
  return 1;
}

static bool known_pass(const char *name) {
  if (!strcmp(name, "all")) return true;
  for (const Pass *p = pass_table; p->name; p++)
    if (!strcmp(p->name, name)) return true;
  return false;
}

/* NAME=VALUE; the text is cut at the first '='. */
static bool add_define(Command *c, char *text) {
  char *eq = strchr(text, '=');
  if (!eq || eq == text) return fprintf(stderr, "netc: -D %s: expected NAME=VALUE\n", text), false;
  if (c->frontend.ndefine == (int)(sizeof c->define / sizeof *c->define))
    return fail("too many -D options (at most 64)"), false;
  *eq = 0;
  c->define[c->frontend.ndefine++] = (Define){text, eq + 1};
  return true;
}

static bool set_emit(Command *c, const char *what) {
  if (!strcmp(what, "ast")) c->emit_ast = true;
  else if (!strcmp(what, "graph")) c->emit_graph = true;
  else if (!strcmp(what, "kernels")) c->codegen.emit_kernels = true;
  else if (!strcmp(what, "llvm")) c->codegen.emit_llvm = true;
  else if (!strcmp(what, "asm")) c->codegen.emit_asm = true;
  else if (!strcmp(what, "ptx")) c->codegen.emit_ptx = c->codegen.device = true;
  else if (!strcmp(what, "plan")) c->codegen.emit_plan = true;
  else
    return fprintf(stderr, "netc: --emit %s: expected ast, graph, kernels, llvm, asm, ptx or plan\n", what),
           false;
  return true;
}

static bool set_target(Command *c, const char *list) {
  char copy[128];
  snprintf(copy, sizeof copy, "%s", list);
  for (char *save, *t = strtok_r(copy, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
    int isa = -1;
    bool ptx = !strcmp(t, "ptx"), portable = !strcmp(t, "portable");
    if (ptx) c->codegen.device = true;
    if (portable) c->codegen.isas = (1u << NETC_ISA_COUNT) - 1;
    if (ptx || portable) continue;
    if (!strcmp(t, "host")) isa = netc_host_isa();
    else if (!strcmp(t, "x86-64-v3")) isa = NETC_ISA_AVX2;
    else if (!strcmp(t, "x86-64-v4")) isa = NETC_ISA_AVX512;
    else if (!strcmp(t, "x86-64-v4+bf16")) isa = NETC_ISA_AVX512_BF16;
    else
      return fprintf(
                 stderr,
                 "netc: --target %s: expected host, portable, x86-64-v3, x86-64-v4, x86-64-v4+bf16 or ptx\n",
                 t),
             false;
    if (isa < 0) return fail("--target host: this machine has neither AVX2 nor AVX-512"), false;
    c->codegen.isas |= 1u << isa;
  }
  if (!c->codegen.isas && !c->codegen.device)
    return fail("--target: expected host, portable, x86-64-v3, x86-64-v4, x86-64-v4+bf16 or ptx"), false;
  return true;
}

static bool set_threads(Command *c, const char *text) {
  char *end;
  long n = strtol(text, &end, 10);
  if (end == text || *end || n < 1 || n > 1024)
    return fprintf(stderr, "netc: --threads %s: expected a whole number from 1 to 1024\n", text), false;
  return c->codegen.threads = (int)n, true;
}

/* *rate = the number, in units of 10^9 a second. */
static bool set_rate(double *rate, const char *option, const char *text) {
  char *end;
  double n = strtod(text, &end);
  if (end == text || *end || !(n > 0 && n <= 1e9))
    return fprintf(stderr, "netc: %s %s: expected a number above 0\n", option, text), false;
  return *rate = n * 1e9, true;
}

/* A number with a unit of 1024 bytes or more: 900M, 4G, 1.5G. */
static bool set_memory(Command *c, const char *text) {
  static const char units[] = "KMGT";
  char *end;
  double n = strtod(text, &end);
  const char *unit = *end ? strchr(units, *end >= 'a' ? *end - 32 : *end) : NULL;
  const char *rest = unit ? end + 1 + (end[1] == 'i' || end[1] == 'I') : "?";
  if (unit && *rest && !rest[1] && (*rest == 'B' || *rest == 'b')) rest++;
  double bytes = unit ? ldexp(n, 10 * (int)(unit - units + 1)) : 0;
  if (end == text || !unit || *rest || !(bytes >= 1024 && bytes < 0x1p60))
    return fprintf(stderr, "netc: --memory %s: expected a size like 900M or 4G\n", text), false;
  return c->memory = (int64_t)bytes, true;
}

/* Is the module to be written over the file it is made of? */
static bool over_source(const Command *c) {
  struct stat in, out;
  return c->codegen.output && !stat(c->input, &in) && !stat(c->codegen.output, &out) &&
         in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

/* Fills c; returns -1 to go on, else the exit status. */
static int read_command(int argc, char **argv, Command *c) {
  int opt;
  while ((opt = getopt_long(argc, argv, "o:D:h", long_options, NULL)) != -1) switch (opt) {
    case 'o': c->codegen.output = optarg; break;
    case 'D':
      if (!add_define(c, optarg)) return 1;
      break;
    case OPT_TARGET:
      if (!set_target(c, optarg)) return 1;
      break;
    case OPT_MEMORY:
      if (!set_memory(c, optarg)) return 1;
      break;
    case OPT_EMIT:
      if (!set_emit(c, optarg)) return 1;
      break;
    case OPT_DUMP:
      if (!known_pass(optarg))
        return fprintf(stderr, "netc: --dump-after %s: no such pass (netc --passes lists them)\n", optarg), 1;
      c->passes.dump_after = optarg;
      break;
    case OPT_NO_GRADS: c->frontend.grads = false; break;
    case OPT_EXPLAIN: c->codegen.explain = true; break;
    case OPT_PEAK:
      if (!set_rate(&c->codegen.peak, "--peak-gflops", optarg)) return 1;
      break;
    case OPT_BANDWIDTH:
      if (!set_rate(&c->codegen.bandwidth, "--bandwidth", optarg)) return 1;
      break;
    case OPT_VERIFY: c->verify = c->passes.verify = c->codegen.debug = true; break;
    case OPT_NO_CACHE: c->no_cache = true; break;
    case OPT_CACHE_DIR: c->cache_dir = optarg; break;
    case OPT_TIME: c->time = true; break;
    case OPT_THREADS:
      if (!set_threads(c, optarg)) return 1;
      break;
    case OPT_PASSES:
      for (const Pass *p = pass_table; p->name; p++) printf("%-10s %s\n", p->name, p->doc);
      return 0;
    case OPT_VERSION: return printf("netc %s\n", NETC_VERSION), 0;
    case 'h': return fputs(usage, stdout), 0;
    default: return fputs("netc: try netc --help\n", stderr), 1;
    }
  if (optind + 1 != argc)
    return fail(optind < argc ? "expected one .net file (netc --help)"
                              : "expected a .net file (netc --help)");
  c->input = argv[optind];
  if (!c->codegen.isas && netc_host_isa() >= 0) c->codegen.isas = 1u << netc_host_isa();
  if (over_source(c))
    return fprintf(stderr, "netc: -o %s is the source itself; name the module\n", c->codegen.output), 1;
  bool more = c->codegen.output || c->passes.dump_after || c->codegen.emit_kernels || c->codegen.emit_llvm ||
              c->codegen.emit_asm || c->codegen.emit_ptx || c->codegen.emit_plan || c->codegen.explain;
  if (!more && !c->emit_ast && !c->emit_graph)
    return fail("where does the module go? -o OUT.so (netc --help)");
  return -1;
}

/* Is there something to do behind the passes? */
static bool has_back_end(const Command *c) {
  const CodegenOptions *g = &c->codegen;
  return g->output || g->emit_kernels || g->emit_llvm || g->emit_asm || g->emit_ptx || g->emit_plan ||
         g->explain;
}

/* Is the module all that is wanted? Then one from the cache will do; a budget of memory is not part of its
 * key. */
static bool only_module(const Command *c) {
  const CodegenOptions *g = &c->codegen;
  return g->output &&
         !(c->emit_ast || c->emit_graph || c->passes.dump_after || g->emit_kernels || g->emit_llvm ||
           g->emit_asm || g->emit_ptx || g->emit_plan || g->explain || c->verify || c->memory);
}

typedef struct {
  double start, parsed, passed, end;
  CodegenReport codegen;
} Times;

static void print_times(const Times *t) {
  const CodegenReport *g = &t->codegen;
  fprintf(stderr,
          "%8.3f s  reading the file, graph\n%8.3f s  passes\n%8.3f s  kernels, memory plan\n"
          "%8.3f s  machine code: %d kernels have %d different codes, %d of them from the cache\n"
          "%8.3f s  tables, linker\n%8.3f s  in all\n",
          t->parsed - t->start, t->passed - t->parsed, g->emit, g->compile, g->kernels, g->codes, g->cached,
          g->link, t->end - t->start);
}

/* All layers in order. */
static int run_layers(Arena *arena, Command *c, Times *t) {
  char err[FIT_ERR] = "";
  const char *options = "";
  Program *p = frontend_compile(arena, c->input, &c->frontend, &options);
  if (!p) return 1;
  t->parsed = steady_seconds();
  if (c->emit_graph) ir_print(stdout, p);
  if (!has_back_end(c) && !c->passes.dump_after) return 0;
  c->passes.dump = stdout;
  c->passes.fused = arena_alloc(arena, ((size_t)p->nfn + 1) * sizeof(Fn *));
  if (!passes_run(p, &c->passes, err))
    return fprintf(stderr, "netc: %s: internal error: %s\n", c->input, err), 1;
  t->passed = steady_seconds();
  if (!has_back_end(c)) return 0;
  if (c->memory && !codegen_fit(p, c->passes.fused, c->memory, err))
    return fprintf(stderr, "netc: %s: %s\n", c->input, err), 1;
  c->codegen.emit = stdout;
  c->codegen.options = options;
  c->codegen.report = &t->codegen;
  if (!c->codegen.threads) c->codegen.threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
  if (!codegen_run(p, &c->codegen, err)) return fprintf(stderr, "netc: %s: %s\n", c->input, err), 1;
  t->end = steady_seconds();
  if (c->time) print_times(t);
  return 0;
}

static int compile(Arena *arena, Command *c) {
  Times t = {.start = steady_seconds()};
  char why[IR_ERR];
  Bytes image = {0};
  const struct Source *sources = NULL;
  Request request = {c->input, &c->frontend, &c->codegen};
  c->frontend.define = c->define;
  c->frontend.diag = stderr;
  c->frontend.dump_ast = c->emit_ast ? stdout : NULL;
  c->frontend.sources = &sources;
  if (!c->no_cache && c->codegen.output) {
    c->codegen.cache = cache_open(arena, c->cache_dir, why);
    if (why[0]) fprintf(stderr, "netc: %s\n", why);
  }
  bool whole = c->codegen.cache && only_module(c);
  if (whole && module_from_cache(arena, &request)) {
    if (c->time) fprintf(stderr, "%8.3f s  in all: the module is in the cache\n", steady_seconds() - t.start);
    return 0;
  }
  if (whole) c->codegen.image = &image;
  int status = run_layers(arena, c, &t);
  if (whole && status == 0) module_into_cache(&request, sources);
  cache_close(c->codegen.cache);
  bytes_free(&image);
  return status;
}

int main(int argc, char **argv) {
  Command c = {.frontend.grads = true, .codegen.peak = 200e9, .codegen.bandwidth = 40e9};
#ifdef NETC_DEBUG /* debug builds check after every pass */
  c.passes.verify = c.codegen.debug = true;
#endif
  int status = read_command(argc, argv, &c);
  if (status >= 0) return status;
  Arena *arena = arena_new();
  status = compile(arena, &c);
  arena_free(arena);
  if (fflush(stdout) || ferror(stdout))
    return fprintf(stderr, "netc: standard output: %s\n", strerror(errno)), 1;
  return status;
}
