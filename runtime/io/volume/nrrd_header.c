/* nrrd_header.c - "field: value" lines to NrrdHeader. Fields that do not bear on voxels or their places are
 * passed over. */
#include "runtime/io/volume/nrrd_header.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- words ---- */

typedef struct {
  const char *word;
  int value;
} Word;

static int look_up(const Word *table, const char *word) {
  for (; table->word; table++)
    if (!strcasecmp(table->word, word)) return table->value;
  return -1;
}

static const Word types[] = {{"signed char", ELEMENT_I8},
                             {"int8", ELEMENT_I8},
                             {"int8_t", ELEMENT_I8},
                             {"uchar", ELEMENT_U8},
                             {"unsigned char", ELEMENT_U8},
                             {"uint8", ELEMENT_U8},
                             {"uint8_t", ELEMENT_U8},
                             {"short", ELEMENT_I16},
                             {"short int", ELEMENT_I16},
                             {"signed short", ELEMENT_I16},
                             {"signed short int", ELEMENT_I16},
                             {"int16", ELEMENT_I16},
                             {"int16_t", ELEMENT_I16},
                             {"ushort", ELEMENT_U16},
                             {"unsigned short", ELEMENT_U16},
                             {"unsigned short int", ELEMENT_U16},
                             {"uint16", ELEMENT_U16},
                             {"uint16_t", ELEMENT_U16},
                             {"int", ELEMENT_I32},
                             {"signed int", ELEMENT_I32},
                             {"int32", ELEMENT_I32},
                             {"int32_t", ELEMENT_I32},
                             {"uint", ELEMENT_U32},
                             {"unsigned int", ELEMENT_U32},
                             {"uint32", ELEMENT_U32},
                             {"uint32_t", ELEMENT_U32},
                             {"longlong", ELEMENT_I64},
                             {"long long", ELEMENT_I64},
                             {"long long int", ELEMENT_I64},
                             {"signed long long", ELEMENT_I64},
                             {"signed long long int", ELEMENT_I64},
                             {"int64", ELEMENT_I64},
                             {"int64_t", ELEMENT_I64},
                             {"ulonglong", ELEMENT_U64},
                             {"unsigned long long", ELEMENT_U64},
                             {"unsigned long long int", ELEMENT_U64},
                             {"uint64", ELEMENT_U64},
                             {"uint64_t", ELEMENT_U64},
                             {"float", ELEMENT_F32},
                             {"double", ELEMENT_F64},
                             {NULL, 0}};
static const Word encodings[] = {
    {"raw", NRRD_RAW},   {"text", NRRD_TEXT}, {"txt", NRRD_TEXT}, {"ascii", NRRD_TEXT},
    {"gzip", NRRD_GZIP}, {"gz", NRRD_GZIP},   {NULL, 0}};

static const struct {
  const char *word, *named;
  int dimensions;
} spaces[] = {{"right-anterior-superior", "RAS", 3},
              {"RAS", "RAS", 3},
              {"left-anterior-superior", "LAS", 3},
              {"LAS", "LAS", 3},
              {"left-posterior-superior", "LPS", 3},
              {"LPS", "LPS", 3},
              {"right-anterior-superior-time", "RAS", 4},
              {"RAST", "RAS", 4},
              {"left-anterior-superior-time", "LAS", 4},
              {"LAST", "LAS", 4},
              {"left-posterior-superior-time", "LPS", 4},
              {"LPST", "LPS", 4},
              {"scanner-xyz", "", 3},
              {"scanner-xyz-time", "", 4},
              {"3D-right-handed", "", 3},
              {"3D-left-handed", "", 3},
              {"3D-right-handed-time", "", 4},
              {"3D-left-handed-time", "", 4}};

/* ---- fields: each takes its value; false: it is not what the format allows, or not read ---- */

typedef struct {
  TextHeader text;
  NrrdHeader *out;
} Parser;

static bool take_dimension(Parser *p, char *value, char err[ERR_MAX]) {
  p->out->axes = atoi(value);
  if (p->out->axes >= 1 && p->out->axes <= NRRD_AXES) return true;
  return err_set(err, "%s: dimension: 1 to %d axes are read, found %.40s", p->text.path, NRRD_AXES, value);
}

static bool take_type(Parser *p, char *value, char err[ERR_MAX]) {
  int type = look_up(types, value);
  if (type < 0) return err_set(err, "%s: type: voxels of type %.40s are not read", p->text.path, value);
  p->out->type = (Element)type;
  return true;
}

static bool take_encoding(Parser *p, char *value, char err[ERR_MAX]) {
  int encoding = look_up(encodings, value);
  if (encoding < 0)
    return err_set(err, "%s: encoding: %.40s is not read; write the file with raw, gzip or ascii",
                   p->text.path, value);
  p->out->encoding = (__typeof__(p->out->encoding))encoding;
  return true;
}

static bool take_endian(Parser *p, char *value, char err[ERR_MAX]) {
  p->out->big = !strcasecmp(value, "big"), p->out->endian_said = true;
  if (p->out->big || !strcasecmp(value, "little")) return true;
  return err_set(err, "%s: endian: expected little or big, found %.40s", p->text.path, value);
}

static bool take_space(Parser *p, char *value, char err[ERR_MAX]) {
  for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
    if (!strcasecmp(spaces[i].word, value)) {
      strcpy(p->out->named, spaces[i].named), p->out->space = spaces[i].dimensions;
      return true;
    }
  return err_set(err, "%s: space: %.60s is none of NRRD's spaces", p->text.path, value);
}

static bool take_space_dimension(Parser *p, char *value, char err[ERR_MAX]) {
  p->out->space = atoi(value);
  if (p->out->space >= 1 && p->out->space <= NRRD_SPACE) return true;
  return err_set(err, "%s: space dimension: 1 to %d are read, found %.40s", p->text.path, NRRD_SPACE, value);
}

static bool take_sizes(Parser *p, char *value, char err[ERR_MAX]) {
  double size;
  for (int a = 0; a < p->out->axes; a++) {
    if (!text_number(&value, &size) || !(size >= 1 && size < 0x1p53) || size != floor(size))
      return err_set(err, "%s: sizes: expected %d whole numbers of 1 or more", p->text.path, p->out->axes);
    p->out->axis[a].size = (int64_t)size;
  }
  return true;
}

static bool take_spacings(Parser *p, char *value, char err[ERR_MAX]) {
  for (int a = 0; a < p->out->axes; a++)
    if (!text_number(&value, &p->out->axis[a].spacing))
      return err_set(err, "%s: spacings: expected %d numbers", p->text.path, p->out->axes);
  return true;
}

static bool take_vector(Parser *p, char **value, double out[NRRD_SPACE]) {
  bool ok = p->out->space > 0;
  for (int d = 0; ok && d < p->out->space; d++) ok = text_number(value, &out[d]);
  return ok;
}

static bool take_directions(Parser *p, char *value, char err[ERR_MAX]) {
  for (int a = 0; a < p->out->axes; a++) {
    NrrdAxis *x = &p->out->axis[a];
    value += strspn(value, " \t");
    x->undirected = !strncasecmp(value, "none", 4);
    x->directed = !x->undirected;
    if (x->undirected) value += 4;
    else if (*value != '(' || !take_vector(p, &value, x->direction))
      return err_set(err,
                     "%s: space directions: expected for each of %d axes none or (%d numbers), behind a "
                     "field space or space dimension",
                     p->text.path, p->out->axes, p->out->space);
    value += strspn(value, " \t)");
  }
  return true;
}

static bool take_origin(Parser *p, char *value, char err[ERR_MAX]) {
  p->out->origin_said = strncasecmp(value, "none", 4) != 0;
  if (!p->out->origin_said || take_vector(p, &value, p->out->origin)) return true;
  return err_set(err, "%s: space origin: expected (%d numbers)", p->text.path, p->out->space);
}

static bool take_units(Parser *p, char *value, char err[ERR_MAX]) {
  (void)err;
  p->out->unit = strstr(value, "\"m\"")    ? 1000
                 : strstr(value, "\"cm\"") ? 10
                 : strstr(value, "\"um\"") ? 1e-3
                                           : 1;
  return true;
}

static bool take_kinds(Parser *p, char *value, char err[ERR_MAX]) {
  (void)err;
  for (int a = 0; a < p->out->axes; a++)
    snprintf(p->out->axis[a].kind, sizeof p->out->axis[a].kind, "%s", text_word(&value));
  return true;
}

static bool take_line_skip(Parser *p, char *value, char err[ERR_MAX]) {
  p->out->lines = atoi(value);
  return p->out->lines >= 0 || err_set(err, "%s: line skip: found %.40s", p->text.path, value);
}

static bool take_byte_skip(Parser *p, char *value, char err[ERR_MAX]) {
  p->out->skip = strtoll(value, NULL, 10);
  return p->out->skip >= -1 ||
         err_set(err, "%s: byte skip: expected -1 or more, found %.40s", p->text.path, value);
}

static bool take_file(Parser *p, char *value, char err[ERR_MAX]) {
  return file_list_parse(&p->out->files, &p->text, value, err);
}

static const struct {
  const char *name;
  bool (*take)(Parser *p, char *value, char err[ERR_MAX]);
} fields[] = {
    {"dimension", take_dimension}, {"type", take_type},          {"encoding", take_encoding},
    {"endian", take_endian},       {"space", take_space},        {"space dimension", take_space_dimension},
    {"sizes", take_sizes},         {"spacings", take_spacings},  {"space directions", take_directions},
    {"space origin", take_origin}, {"space units", take_units},  {"kinds", take_kinds},
    {"line skip", take_line_skip}, {"lineskip", take_line_skip}, {"byte skip", take_byte_skip},
    {"byteskip", take_byte_skip},  {"data file", take_file},     {"datafile", take_file}};

static bool take_line(Parser *p, char *line, uint32_t *seen, char err[ERR_MAX]) {
  char *colon = strchr(line, ':');
  if (*line == '#' || (colon && colon[1] == '=')) return true; /* comments; keys of the writer's own */
  char *value = text_cut(line, ":");
  if (!value) return err_set(err, "%s: expected `field: value`, found %.60s", p->text.path, line);
  for (uint32_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (!strcasecmp(fields[i].name, line)) {
      *seen |= 1U << i;
      return fields[i].take(p, value, err);
    }
  return true;
}

bool nrrd_header_read(const char *path, NrrdHeader *out, char err[ERR_MAX]) {
  Parser p = {.out = out};
  uint32_t seen = 0;
  *out = (NrrdHeader){.encoding = NRRD_ENCODINGS, .type = ELEMENT_TYPES, .unit = 1};
  for (int a = 0; a < NRRD_AXES; a++) out->axis[a].spacing = NAN;
  if (!text_open(&p.text, path, err)) return false;
  char *line = text_line(&p.text);
  bool ok = line && !strncmp(line, "NRRD000", 7);
  if (!ok) err_set(err, "%s: not an NRRD file: it does not begin with NRRD000", path);
  while (ok && (line = text_line(&p.text)) && *line) ok = take_line(&p, line, &seen, err);
  bool ended = line || out->files.n;
  out->start = (int64_t)p.text.at;
  if (ok && !ended) ok = err_set(err, "%s: the header does not end (an empty line)", path);
  for (uint32_t i = 0; ok && i < 3; i++) /* dimension, type and encoding .. */
    if (!(seen >> i & 1)) ok = err_set(err, "%s: the header has no field %s", path, fields[i].name);
  for (int a = 0; ok && a < out->axes; a++) /* .. and sizes, of all axes */
    if (!out->axis[a].size)
      ok = err_set(err, "%s: expected a field sizes of %d numbers, behind dimension", path, out->axes);
  text_close(&p.text);
  if (!ok) file_list_free(&out->files);
  return ok;
}
