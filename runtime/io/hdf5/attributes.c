/* attributes.c - what attributes say, as text and as numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/io/hdf5/hdf5.h"

enum { MOST_TEXTS = 16, TEXT_BYTES = 4096 };

/* Texts of any length: the library makes them. */
static bool long_texts(hid_t attribute, hid_t type, size_t n, char out[TEXT_ROOM]) {
  char *text[MOST_TEXTS] = {NULL};
  hid_t memory = H5Tcopy(H5T_C_S1);
  H5Tset_size(memory, H5T_VARIABLE), H5Tset_cset(memory, H5Tget_cset(type));
  if (H5Aread(attribute, memory, text) < 0) return false;
  for (size_t i = 0; i < n; i++)
    if (text[i]) strncat(out, text[i], TEXT_ROOM - strlen(out) - 1);
  return true;
}

static bool fixed_texts(hid_t attribute, hid_t type, size_t n, char out[TEXT_ROOM]) {
  char text[TEXT_BYTES];
  size_t size = H5Tget_size(type);
  if (size == 0 || size > sizeof text / n || H5Aread(attribute, type, text) < 0) return false;
  for (size_t i = 0; i < n; i++) {
    size_t length = strnlen(text + i * size, size), room = TEXT_ROOM - strlen(out) - 1;
    strncat(out, text + i * size, length < room ? length : room);
  }
  return true;
}

bool hdf5_text(hid_t object, const char *name, char out[TEXT_ROOM]) {
  *out = 0;
  hid_t attribute = H5Aexists(object, name) > 0 ? H5Aopen(object, name, H5P_DEFAULT) : -1;
  if (attribute < 0) return false;
  hid_t type = H5Aget_type(attribute);
  hssize_t n = H5Sget_simple_extent_npoints(H5Aget_space(attribute));
  if (H5Tget_class(type) != H5T_STRING || n < 1 || n > MOST_TEXTS) return false;
  return H5Tis_variable_str(type) > 0 ? long_texts(attribute, type, (size_t)n, out)
                                      : fixed_texts(attribute, type, (size_t)n, out);
}

int hdf5_numbers(hid_t object, const char *name, double out[MANY_NUMBERS]) {
  hid_t attribute = H5Aexists(object, name) > 0 ? H5Aopen(object, name, H5P_DEFAULT) : -1;
  if (attribute < 0) return 0;
  H5T_class_t kind = H5Tget_class(H5Aget_type(attribute));
  hssize_t n = H5Sget_simple_extent_npoints(H5Aget_space(attribute));
  if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || n < 1 || n > MANY_NUMBERS) return 0;
  return H5Aread(attribute, H5T_NATIVE_DOUBLE, out) < 0 ? 0 : (int)n;
}
