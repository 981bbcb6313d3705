/* spell.c - which of the names there are was meant by a misspelt one. */
#include <string.h>
#include "runtime/base/spell.h"

int edit_distance(const char *a, const char *b) {
  int n = (int)strlen(a), m = (int)strlen(b), row[SPELL_MOST + 1];
  if (n > SPELL_MOST || m > SPELL_MOST) return SPELL_MOST;
  for (int j = 0; j <= m; j++) row[j] = j;
  for (int i = 1; i <= n; i++) {
    int corner = row[0];
    row[0] = i;
    for (int j = 1; j <= m; j++) {
      int best = corner + (a[i - 1] != b[j - 1]);
      corner = row[j];
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  return row[m];
}

int nearest_names(const char *word, const char *const *names, int n, int within, const char **out, int most) {
  enum { MOST = 8 };
  int distance[MOST], found = 0;
  if (most > MOST) most = MOST;
  for (int i = 0; i < n; i++) {
    int d = edit_distance(word, names[i]), at = found;
    if (d > within || (found == most && d >= distance[most - 1])) continue;
    if (found < most) found++;
    else at--;
    for (; at > 0 && distance[at - 1] > d; at--) distance[at] = distance[at - 1], out[at] = out[at - 1];
    distance[at] = d, out[at] = names[i];
  }
  return found;
}
