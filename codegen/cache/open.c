/* open.c - where the cache is, whether it may be trusted, and who this compiler is. */
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "codegen/cache/cache.h"

enum { DEFAULT_MB = 1024 };

/* ---- the compiler's identity: the build ids that the linker put into netc and into LLVM ---- */
typedef struct {
  Arena *arena;
  const char *id;
  int objects, known; /* of those that matter: how many there are, how many have a build id */
} Builder;

/* The build id among notes of n bytes, as digits; NULL = none. */
static const char *build_id(Arena *a, const uint8_t *note, size_t n) {
  for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= n;) {
    ElfW(Nhdr) h;
    memcpy(&h, note + at, sizeof h);
    size_t name = at + sizeof h, text = name + ((h.n_namesz + 3u) & ~3u),
           end = text + ((h.n_descsz + 3u) & ~3u);
    if (end > n) break;
    if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && !memcmp(note + name, "GNU", 4)) {
      char *digits = arena_alloc(a, 2 * (size_t)h.n_descsz + 1);
      for (size_t i = 0; i < h.n_descsz; i++) snprintf(digits + 2 * i, 3, "%02x", note[text + i]);
      return digits;
    }
    at = end;
  }
  return NULL;
}

static int visit(struct dl_phdr_info *o, size_t size, void *arg) {
  (void)size;
  Builder *b = arg;
  bool main_program = !o->dlpi_name || !*o->dlpi_name;
  if (!main_program && !strstr(o->dlpi_name, "LLVM")) return 0;
  if (main_program && b->objects) return 0; /* the kernel's own object has no name either */
  const char *id = NULL;
  for (int i = 0; i < o->dlpi_phnum && !id; i++)
    if (o->dlpi_phdr[i].p_type == PT_NOTE)
      id = build_id(b->arena, (const uint8_t *)o->dlpi_addr + o->dlpi_phdr[i].p_vaddr,
                    o->dlpi_phdr[i].p_memsz);
  b->objects++;
  if (id) b->known++, b->id = arena_printf(b->arena, "%s %s", b->id, id);
  return 0;
}

static const char *builder(Arena *a) {
  Builder b = {.arena = a, .id = "netc " NETC_VERSION};
  dl_iterate_phdr(visit, &b);
  return b.objects && b.known == b.objects ? b.id : NULL;
}

/* ---- the directory ---- */
static const char *place(Arena *a) {
  const char *own = getenv("NETC_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (own) return *own ? own : NULL;
  if (xdg && *xdg == '/') return arena_printf(a, "%s/netc", xdg);
  return home && *home == '/' ? arena_printf(a, "%s/.cache/netc", home) : NULL;
}

static void make_dirs(Arena *a, const char *dir) {
  char *part = arena_strdup(a, dir);
  for (char *p = part + 1; *p; p++) {
    if (*p != '/') continue;
    *p = 0;
    mkdir(part, 0777);
    *p = '/';
  }
  mkdir(part, 0700);
}

/* What lies there becomes code that people run: nobody else may be able to put something there. */
static bool trusted(const char *dir, char why[IR_ERR]) {
  struct stat st;
  if (stat(dir, &st)) ir_error(why, "no cache: cannot make the directory %.300s: %s", dir, strerror(errno));
  else if (!S_ISDIR(st.st_mode)) ir_error(why, "no cache: %.300s is no directory", dir);
  else if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
    ir_error(why, "no cache: others may write in %.300s; give a directory of your own", dir);
  else return true;
  return false;
}

static int64_t limit(void) {
  const char *text = getenv("NETC_CACHE_MB");
  char *end;
  long mb = text ? strtol(text, &end, 10) : DEFAULT_MB;
  if (text && (end == text || *end || mb < 1 || mb > 1 << 24)) mb = DEFAULT_MB;
  return (int64_t)mb << 20;
}

Cache *cache_open(Arena *a, const char *dir, char why[IR_ERR]) {
  why[0] = 0;
  bool asked = dir || getenv("NETC_CACHE");
  if (!dir) dir = place(a);
  const char *id = builder(a);
  if (!dir) return NULL;
  if (strlen(dir) > 3000) return ir_error(why, "no cache: path too long: %s", dir), NULL;
  make_dirs(a, dir);
  char reason[IR_ERR];
  if (!trusted(dir, reason) || !id) {
    if (asked && id) memcpy(why, reason, 512);
    if (asked && !id) ir_error(why, "no cache: this netc, or its LLVM, was linked without a build id");
    return NULL;
  }
  Cache *c = arena_alloc(a, sizeof *c);
  c->dir = dir;
  c->builder = id;
  c->limit = limit();
  return c;
}
