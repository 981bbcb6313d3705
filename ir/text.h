/* text.h - the words of the text form, by the enums of ir.h, and how strings and numbers are written; for
 * print.c, parse.c and prepare_text.c. */
#ifndef NETC_TEXT_H
#define NETC_TEXT_H
#include "ir/ir.h"

static const char *const word_init[] = {"const", "uniform", "normal", "copy", NULL};
static const char *const word_role[] = {"param", "buffer", "ema", "optim", NULL};
static const char *const word_field[] = {
#define FIELD(name, word, type, element, content, maker, draw) word,
#include "ir/fields.def"
#undef FIELD
    NULL};
static const char *const word_source[] = {"labeled", "unlabeled", "all", NULL};
static const char *const word_fn[] = {"train", "predict", "forward", NULL};
static const char *const word_switch[] = {"off", "on", NULL};
static const char *const word_dtype[] = {"f32", "i32", "bf16", NULL};

void print_string(FILE *out, const char *s);
void print_double(FILE *out, double v); /* comes back bit for bit */
#endif
