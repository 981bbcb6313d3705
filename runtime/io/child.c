/* child.c - an image from a child process, through a pipe: a head, the notes, the values. */
#include "runtime/io/child.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_BYTES = 1 << 20, NAME_BYTES = 4096 };

/* What goes ahead of the notes, ERR_MAX bytes each, and of the values. */
typedef struct {
  bool ok, values;
  int notes;
  Image image; /* less its values */
  char err[ERR_MAX];
} Head;

static size_t bytes_of(const Image *image) {
  return (size_t)(grid_count(&image->grid) * image->channels) * sizeof *image->value;
}

/* ---- in the child ---- */

static char *reading; /* the name of the file it is at, in memory that the parent sees; or NULL */

void child_reads(const char *path) {
  if (reading) snprintf(reading, NAME_BYTES, "%s", path);
}

static bool send_all(int fd, const void *data, size_t size) {
  for (const char *p = data; size > 0;) {
    ssize_t n = write(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n, size -= (size_t)n;
  }
  return true;
}

static bool send_notes(int fd, const Notes *notes) {
  for (int i = 0; i < notes->n; i++) {
    char text[ERR_MAX] = {0};
    strncpy(text, notes->text[i], ERR_MAX - 1);
    if (!send_all(fd, text, sizeof text)) return false;
  }
  return true;
}

/* Nothing is released: the process ends. */
static _Noreturn void child(int fd, ReadFile read, const char *path, const Wish *wish) {
  static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL, SIGPIPE};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], SIG_DFL);
  Notes notes;
  notes_init(&notes);
  Wish own = *wish;
  own.notes = &notes;
  Head head = {.ok = false};
  head.ok = read(path, &own, &head.image, head.err);
  const float *value = head.ok ? head.image.value : NULL;
  head.image.value = NULL, head.values = value != NULL, head.notes = notes.n;
  bool sent = send_all(fd, &head, sizeof head) && send_notes(fd, &notes) &&
              (!value || send_all(fd, value, bytes_of(&head.image)));
  _exit(sent ? 0 : 1);
}

/* ---- in the parent ---- */

static bool receive_all(int fd, void *data, size_t size) {
  for (char *p = data; size > 0;) {
    ssize_t n = read(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n, size -= (size_t)n;
  }
  return true;
}

static bool receive_notes(int fd, int n, Notes *to) {
  char text[ERR_MAX];
  for (int i = 0; i < n; i++) {
    if (!receive_all(fd, text, sizeof text)) return false;
    note(to, "%s", text);
  }
  return true;
}

/* A child, and the end of its pipe. */
typedef struct {
  pid_t pid;
  int from;
  char *reading; /* as above */
} Child;

static bool died(const Child *c, const char *library, const char *path, char err[ERR_MAX]) {
  return err_set(err, "%s: damaged: %s failed on it", c->reading && *c->reading ? c->reading : path, library);
}

static bool receive(const Child *c, const char *library, const char *path, Notes *notes, Image *out,
                    char err[ERR_MAX]) {
  Head head;
  if (!receive_all(c->from, &head, sizeof head) || !receive_notes(c->from, head.notes, notes))
    return died(c, library, path, err);
  if (!head.ok) return err_set(err, "%s", head.err);
  *out = head.image;
  if (!head.values) return true;
  return image_alloc(out, path, err) &&
         (receive_all(c->from, out->value, bytes_of(out)) || died(c, library, path, err));
}

/* No other child may be made meanwhile: it would hold this one's writing end open, and a death would go
 * unnoticed until both are gone. */
static bool start(ReadFile read, const char *path, const Wish *wish, Child *c, char err[ERR_MAX]) {
  int end[2];
  if (pipe2(end, O_CLOEXEC)) return err_sys(err, "%s: cannot make a pipe to read it", path);
  fcntl(end[1], F_SETPIPE_SZ, PIPE_BYTES); /* fewer turns between the two; refused, it works as well */
  void *name = mmap(NULL, NAME_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  *c = (Child){.from = end[0], .reading = name == MAP_FAILED ? NULL : name};
  c->pid = fork();
  if (c->pid == 0) reading = c->reading, child(end[1], read, path, wish);
  if (c->pid < 0) err_sys(err, "%s: cannot start a process to read it", path);
  close(end[1]);
  return c->pid > 0;
}

bool read_in_child(ReadFile read, const char *library, const char *path, const Wish *wish, Image *out,
                   char err[ERR_MAX]) {
  static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
  Child c = {.from = -1};
  *out = (Image){.spatial = 0};
  pthread_mutex_lock(&one_at_a_time);
  bool ok = start(read, path, wish, &c, err);
  pthread_mutex_unlock(&one_at_a_time);
  ok = ok && receive(&c, library, path, wish->notes, out, err);
  if (c.from >= 0) close(c.from);
  while (c.pid > 0 && waitpid(c.pid, NULL, 0) < 0 && errno == EINTR) continue;
  if (c.reading) munmap(c.reading, NAME_BYTES);
  if (!ok) image_free(out);
  return ok;
}
