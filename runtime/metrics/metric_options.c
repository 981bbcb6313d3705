/* metric_options.c - which metrics are wanted, and how. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "runtime/metrics/metrics.h"

const char *const empty_name[3] = {"one", "nan", "skip"};

uint32_t metrics_wanted(const MetricOptions *o) {
  uint32_t usual = 0;
  for (int i = 0; i < METRIC_COUNT; i++) usual |= (uint32_t)(metric_info[i].told == USUALLY) << i;
  return o->metrics ? o->metrics : usual;
}

bool metrics_want(const MetricOptions *o, MadeOf made) {
  for (int i = 0; i < METRIC_COUNT; i++)
    if (metrics_wanted(o) >> i & 1 && metric_info[i].made == made) return true;
  return false;
}

static bool is_word(const char *word, size_t n, const char *name) {
  return strlen(name) == n && strncasecmp(word, name, n) == 0;
}

bool metrics_named(const char *list, uint32_t *out, char err[ERR_MAX]) {
  char names[128] = "";
  for (int i = 0; i < METRIC_COUNT; i++) strcat(strcat(names, metric_info[i].name), ", ");
  *out = 0;
  if (strcasecmp(list, "all") == 0) return *out = (1u << METRIC_COUNT) - 1, true;
  for (const char *word = list;; word++) {
    size_t n = strcspn(word, ",");
    int i = 0;
    while (i < METRIC_COUNT && !is_word(word, n, metric_info[i].name) &&
           !is_word(word, n, metric_info[i].column))
      i++;
    if (i == METRIC_COUNT)
      return err_set(err, "there is no metric `%.*s`; there are %sand all of them: all", (int)n, word, names);
    *out |= 1u << i;
    if (!*(word += n)) return true;
  }
}

bool empty_named(const char *name, EmptyRule *out, char err[ERR_MAX]) {
  for (int i = 0; i < 3; i++)
    if (strcmp(name, empty_name[i]) == 0) return *out = (EmptyRule)i, true;
  return err_set(err, "--empty is `%s`; it can be one, nan or skip", name);
}
