/* report.h - what `netrun bench` says, as text on stdout or as JSON. */
#ifndef NETRUN_BENCH_REPORT_H
#define NETRUN_BENCH_REPORT_H
#include <cjson/cJSON.h>
#include "runtime/bench/bench.h"

/* rss: peak resident size of the process, taken before the machine was measured. */
bool bench_print(const Session *s, const Bench *b, const Rates *m, int64_t rss, char err[ERR_MAX]);
cJSON *bench_json(const Session *s, const Bench *b, const Rates *m, int64_t rss, char err[ERR_MAX]);
#endif
