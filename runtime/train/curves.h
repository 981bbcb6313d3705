/* curves.h - the curves of a training run as a picture. */
#ifndef NETRUN_CURVES_H
#define NETRUN_CURVES_H
#include <stdbool.h>
#include "runtime/base/err.h"

/* Curves of a metrics.csv as a picture: one panel per column, x the first column, axes labelled. */
bool picture_curves(const char *csv_path, const char *png_path, char err[ERR_MAX]);
#endif
