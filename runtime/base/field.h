/* field.h - what batch fields are (ir/fields.def), for who makes, feeds and keeps them. */
#ifndef NETRUN_FIELD_H
#define NETRUN_FIELD_H
#include <stdbool.h>
#include "codegen/abi.h"

enum {
#define FIELD(name, word, type, element, content, maker, draw) BATCH_FIELD_##name,
#include "ir/fields.def"
#undef FIELD
  BATCH_FIELDS
};

typedef enum { DRAW_NORMAL, DRAW_CLASSES, DRAW_BINARY, DRAW_UNIT } Draw;

typedef struct {
  bool mask;      /* made of the image's mask; else the image, with its channels */
  bool regions;   /* a channel for each region that the module names; else one where it is of the mask */
  bool by_device; /* a device can make it of images it keeps; else only the host */
  Draw draw;      /* what a benchmark feeds */
} BatchFieldInfo;
extern const BatchFieldInfo batch_field[BATCH_FIELDS]; /* by NetcFieldKind */
#endif
