/* series.h - DICOM series: a folder whose files are the slices of one volume. */
#ifndef NETRUN_SERIES_H
#define NETRUN_SERIES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool named_dicom(const char *name); /* by its ending: .dcm, .dicom, .ima */
/* Do a file's first bytes say that it is DICOM? Those from 128 on are "DICM". */
bool dicom_begins(const uint8_t *head, size_t size);
/* Is the file DICOM by its name or by how it begins? */
bool is_dicom(const char *path);
/* Is it a folder that itself holds DICOM files? */
bool is_series(const char *dir);
#endif
