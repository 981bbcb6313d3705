/* hdf5.c - volumes from HDF5 files. The library crashes on some damaged files, and a long training run must
 * not go down with it: it runs in a child process, which sends the volume through a pipe. A child that dies
 * is a damaged file. It is not safe to call from two threads either: one child at a time. */
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/io/format.h"

/* What goes ahead of the values. */
typedef struct {
  bool ok;
  int64_t dim[3];
  char err[ERR_MAX];
} Head;

/* ---- in the child ---- */

static bool send_all(int fd, const void *data, size_t size) {
  for (const char *p = data; size > 0;) {
    ssize_t n = write(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n, size -= (size_t)n;
  }
  return true;
}

/* The shape of an open data set; false and a message when it is no volume or promises more than the file
 * holds. */
static bool shape_of(hid_t set, const char *path, const char *dataset, Head *head) {
  hid_t space = H5Dget_space(set), type = H5Dget_type(set);
  hsize_t dim[H5S_MAX_RANK] = {0};
  if (H5Sget_simple_extent_ndims(space) != 3)
    return err_set(head->err, "%s: data set '%s' must have three axes", path, dataset);
  H5Sget_simple_extent_dims(space, dim, NULL);
  double n = (double)dim[0] * (double)dim[1] * (double)dim[2];
  for (int a = 0; a < 3; a++) head->dim[a] = (int64_t)dim[a];
  if (n < 1 || n > (double)VOLUME_MAX_ELEMENTS || !file_could_hold(path, n * (double)H5Tget_size(type)))
    return err_set(head->err, "%s: data set '%s' cannot be read: damaged, cut short or too large", path,
                   dataset);
  return true;
}

/* `values` false: the shape alone. */
static float *read_values(const char *path, const char *dataset, bool values, Head *head) {
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* errors are ours to report */
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) return err_set(head->err, "%s: not an HDF5 file, or cut short", path), NULL;
  hid_t set = H5Dopen2(file, dataset, H5P_DEFAULT);
  if (set < 0) return err_set(head->err, "%s: no data set '%s' in it", path, dataset), NULL;
  if (!shape_of(set, path, dataset, head)) return NULL;
  head->ok = !values;
  if (!values) return NULL;
  size_t n = (size_t)(head->dim[0] * head->dim[1] * head->dim[2]);
  float *value = malloc(n * sizeof *value);
  if (!value) return err_memory(head->err, path, (int64_t)(n * sizeof *value)), NULL;
  head->ok = H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0;
  if (!head->ok)
    err_set(head->err, "%s: data set '%s' cannot be read: damaged, cut short or too large", path, dataset);
  return value;
}

/* Nothing is released: the process ends. */
static _Noreturn void child(int fd, const char *path, const char *dataset, bool values) {
  static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL, SIGPIPE};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], SIG_DFL);
  Head head = {.ok = false};
  float *value = read_values(path, dataset, values, &head);
  bool sent = send_all(fd, &head, sizeof head);
  if (sent && value && head.ok)
    sent = send_all(fd, value, (size_t)(head.dim[0] * head.dim[1] * head.dim[2]) * sizeof *value);
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

static bool receive(int fd, const char *path, bool values, Image *out, char err[ERR_MAX]) {
  Head head;
  if (!receive_all(fd, &head, sizeof head))
    return err_set(err, "%s: damaged: the HDF5 library failed on it", path);
  if (!head.ok) return err_set(err, "%s", head.err);
  *out = (Image){.spatial = 3, .channels = 1, .grid = grid_plain(head.dim, NULL)};
  if (!values) return true;
  size_t n = (size_t)grid_count(&out->grid);
  return image_alloc(out, path, err) && (receive_all(fd, out->value, n * sizeof *out->value) ||
                                         err_set(err, "%s: damaged: the HDF5 library failed on it", path));
}

static bool read_in_child(const char *path, const char *dataset, bool values, Image *out, char err[ERR_MAX]) {
  int end[2];
  if (pipe2(end, O_CLOEXEC)) return err_sys(err, "%s: cannot make a pipe to read it", path);
  pid_t pid = fork();
  if (pid == 0) child(end[1], path, dataset, values);
  close(end[1]);
  bool ok = pid > 0 ? receive(end[0], path, values, out, err)
                    : err_sys(err, "%s: cannot start a process to read it", path);
  close(end[0]);
  while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
  return ok;
}

static bool read_hdf5(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
  *out = (Image){.spatial = 3};
  if (access(path, R_OK)) return err_sys(err, "%s", path);
  pthread_mutex_lock(&one_at_a_time);
  bool ok = read_in_child(path, wish->set ? wish->set : "image", !wish->header, out, err);
  pthread_mutex_unlock(&one_at_a_time);
  if (!ok) image_free(out);
  return ok;
}

const Format format_hdf5 = {.name = "HDF5",
                            .ending = {".h5", ".hdf5"},
                            .holds = HOLDS_VOLUME,
                            .sets = true,
                            .prepared = true,
                            .read = read_hdf5};
