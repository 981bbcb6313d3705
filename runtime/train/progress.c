/* progress.c - the progress line: losses, speed, time left; one line that is rewritten on a terminal, lines
 * now and then elsewhere. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "runtime/base/clock.h"
#include "runtime/train/progress.h"

void meter_start(Meter *m, FILE *out, int64_t log_every) {
  *m =
      (Meter){.out = out, .terminal = out && isatty(fileno(out)), .log_every = log_every, .last_shown = -1e9};
}

const char *duration_str(double seconds, char buf[32]) {
  long long s = seconds > 0 ? (long long)(seconds + 0.5) : 0;
  if (s >= 3600) snprintf(buf, 32, "%lldh %02lldm", s / 3600, s / 60 % 60);
  else if (s >= 60) snprintf(buf, 32, "%lldm %02llds", s / 60, s % 60);
  else snprintf(buf, 32, "%llds", s);
  return buf;
}

static int terminal_width(FILE *out) {
  struct winsize w;
  return ioctl(fileno(out), TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

void meter_update(Meter *m, int64_t done, int64_t total, const NetcFn *fn, const double *value,
                  double seconds) {
  m->seconds = m->seconds > 0 ? 0.9 * m->seconds + 0.1 * seconds : seconds;
  if (!m->out) return;
  double now = seconds_now();
  bool due = m->terminal ? now - m->last_shown >= 0.1 || done == total
                         : done == 1 || done == total || (m->log_every > 0 && done % m->log_every == 0);
  if (!due) return;
  m->last_shown = now;
  char tail[96], left[32], line[512];
  snprintf(tail, sizeof tail, "  %.3g s/it  %s left", m->seconds,
           duration_str(m->seconds * (double)(total - done), left));
  int room = (int)sizeof line - (int)sizeof tail,
      n = snprintf(line, sizeof line, "%" PRId64 "/%" PRId64, done, total);
  if (m->terminal && terminal_width(m->out) - 1 - (int)strlen(tail) < room)
    room = terminal_width(m->out) - 1 - (int)strlen(tail);
  for (int i = 0; i < fn->noutputs; i++) {
    char one[96];
    int k = snprintf(one, sizeof one, "  %.60s %.4g", fn->outputs[i].name, value[i]);
    if (n + k >= room) break;
    strcpy(line + n, one), n += k;
  }
  fprintf(m->out, m->terminal ? "\r\033[K%s%s" : "%s%s\n", line, tail);
  fflush(m->out);
  m->line_open = m->terminal;
}

void meter_say(Meter *m, const char *fmt, ...) {
  if (!m->out) return;
  if (m->line_open) fputc('\n', m->out);
  m->line_open = false;
  va_list ap;
  va_start(ap, fmt);
  vfprintf(m->out, fmt, ap);
  va_end(ap);
  fputc('\n', m->out);
}
