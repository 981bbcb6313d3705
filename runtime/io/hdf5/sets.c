/* sets.c - which data set of an HDF5 file is meant. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/io/hdf5/hdf5.h"

enum { MOST_SETS = 256 };

typedef struct {
  hid_t file;
  DataSet set[MOST_SETS]; /* numbers of two axes or more; their ids are not open */
  int n, other;           /* others: text, records, single axes */
} Contents;

typedef struct {
  const char *role;
  const char *const usual[9];
} Role;

static const Role image_role = {"image", {"image", "data", "raw", "volume", "img", "x"}};
static const Role label_role = {"label", {"label", "labels", "mask", "seg", "segmentation", "gt", "y"}};

char *shape_text(const DataSet *set, char out[SHAPE_TEXT]) {
  snprintf(out, SHAPE_TEXT, "(");
  for (int a = 0; a < set->rank; a++) {
    size_t n = strlen(out);
    snprintf(out + n, SHAPE_TEXT - n, "%s%llu", a ? ", " : "", (unsigned long long)set->dim[a]);
  }
  return strncat(out, ")", SHAPE_TEXT - strlen(out) - 1);
}

/* ---- opening ---- */

static bool is_numeric(hid_t set) {
  H5T_class_t kind = H5Tget_class(H5Dget_type(set));
  return kind == H5T_INTEGER || kind == H5T_FLOAT || kind == H5T_ENUM;
}

/* False where there is no such data set, or it is not of numbers with two axes or more. */
static bool open_numbers(hid_t file, const char *name, DataSet *out) {
  *out = (DataSet){.file = file};
  snprintf(out->name, sizeof out->name, "%s", name);
  out->id = H5Dopen2(file, name, H5P_DEFAULT);
  if (out->id < 0 || !is_numeric(out->id)) return false;
  hid_t space = H5Dget_space(out->id);
  out->rank = H5Sget_simple_extent_ndims(space);
  return out->rank >= 2 && H5Sget_simple_extent_dims(space, out->dim, NULL) == out->rank;
}

static herr_t add_set(hid_t root, const char *name, const H5O_info_t *info, void *user) {
  Contents *c = user;
  DataSet set;
  (void)root;
  if (info->type != H5O_TYPE_DATASET) return 0;
  if (c->n == MOST_SETS || !open_numbers(c->file, name, &set)) {
    c->other++;
    return 0;
  }
  H5Dclose(set.id);
  c->set[c->n++] = set;
  return 0;
}

static Contents *contents_of(hid_t file) {
  Contents *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->file = file;
  H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_NATIVE, add_set, c, H5O_INFO_BASIC);
  return c;
}

/* ---- choosing ---- */

static const char *leaf_of(const char *name) {
  const char *slash = strrchr(name, '/');
  return slash ? slash + 1 : name;
}

static int depth_of(const char *name) {
  int n = 0;
  for (; *name; name++) n += *name == '/';
  return n;
}

static bool usual_of(const Role *role, const char *name) {
  for (int i = 0; role->usual[i]; i++)
    if (!strcasecmp(leaf_of(name), role->usual[i])) return true;
  return false;
}

/* The data set of the name that lies least deep in groups; NULL: none, or several (*several). */
static const DataSet *shallowest(const Contents *c, const char *leaf, bool *several) {
  const DataSet *best = NULL;
  for (int i = 0; i < c->n; i++) {
    const char *name = c->set[i].name;
    if (strcasecmp(leaf_of(name), leaf)) continue;
    int d = best ? depth_of(name) - depth_of(best->name) : -1;
    if (d < 0) best = &c->set[i], *several = false;
    else if (d == 0) *several = true;
  }
  return *several ? NULL : best;
}

/* The only data set that may be meant where none has a usual name. */
static const DataSet *only_one(const Contents *c, const Role *role) {
  const DataSet *only = NULL;
  for (int i = 0; i < c->n; i++) {
    if (role == &image_role && usual_of(&label_role, c->set[i].name)) continue;
    if (only) return NULL;
    only = &c->set[i];
  }
  return only;
}

static void list_sets(const Contents *c, char *out, size_t room) {
  char shape[SHAPE_TEXT];
  size_t n = 0;
  for (int i = 0; i < c->n && n < room; i++)
    n += (size_t)snprintf(out + n, room - n, "%s%s %s", i ? ", " : "", c->set[i].name,
                          shape_text(&c->set[i], shape));
  if (!c->n) snprintf(out, room, "%s", c->other ? "nothing of numbers with two axes or more" : "none");
}

static bool none_meant(const Contents *c, const char *path, const Role *role, const char *wanted,
                       bool several, char err[ERR_MAX]) {
  char sets[240], names[96] = "";
  list_sets(c, sets, sizeof sets);
  for (int i = 0; role && role->usual[i]; i++)
    strcat(strcat(names, i ? ", " : ""), role->usual[i]); /* of the table above: they fit */
  if (!role) return err_set(err, "%s: no data set '%s' of numbers in it; it holds: %s", path, wanted, sets);
  return err_set(err, "%s: %s the %s (by name: %s); name it; the file holds: %s", path,
                 several ? "several data sets may be" : "no data set is known to be", wanted, names, sets);
}

static bool open_role(const Contents *c, const Role *role, bool named, DataSet *out, bool *several) {
  const DataSet *found = NULL;
  for (int i = 0; role->usual[i] && !found && !*several; i++) found = shallowest(c, role->usual[i], several);
  if (!found && !*several && !(named && role == &label_role)) found = only_one(c, role);
  return found && open_numbers(c->file, found->name, out);
}

bool hdf5_open_set(hid_t file, const char *path, const char *wanted, bool named, DataSet *out,
                   char err[ERR_MAX]) {
  const Role *role = !strcmp(wanted, "image") ? &image_role : !strcmp(wanted, "label") ? &label_role : NULL;
  bool several = false;
  /* Links are followed here, and most files need no look at the rest of them. */
  if (open_numbers(file, wanted, out)) return true;
  for (int i = 0; role && role->usual[i]; i++)
    if (open_numbers(file, role->usual[i], out)) return true;
  Contents *c = contents_of(file);
  if (!c) return err_memory(err, path, sizeof *c);
  if (role && open_role(c, role, named, out, &several)) return true;
  return none_meant(c, path, role, wanted, several, err);
}
