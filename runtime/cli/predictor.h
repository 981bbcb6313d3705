/* predictor.h - how a command predicts: windows, flips, several checkpoints, cleaning. */
#ifndef NETRUN_CLI_PREDICTOR_H
#define NETRUN_CLI_PREDICTOR_H
#include "runtime/cli/cli.h"
#include "runtime/eval/clean.h"
#include "runtime/predict/predictor.h"

/* Rows for a command's table of options. */
#define CLI_PREDICTOR_OPTIONS                                                                                \
  {"overlap", "F", "of neighbouring windows over volumes, a fraction of the window (0.5)"},                  \
      {"stride", "X,Y,Z", "elements between windows, instead of --overlap"},                                 \
      {"window", "uniform|gaussian", "what counts in a window: all alike, or the middle more (uniform)"}, {  \
    "flips", NULL, "mean over all flips of the image"                                                        \
  }

#define CLI_CLEAN_OPTIONS                                                                                    \
  {"fill", NULL, "fill the holes of predicted masks"},                                                       \
      {"largest", NULL, "keep the largest component of each class of them"},                                 \
      {"drop", "MM3", "drop their components that are smaller"}, {                                           \
    "raw", NULL, "leave out the cleaning that the module says"                                               \
  }

enum { CLI_MAX_MODELS = CLI_MAX_ARGS };

/* What --weights names: several files, given several times or with commas between, are averaged. */
typedef struct {
  const char *file[CLI_MAX_MODELS];
  int n;
  char *text; /* what the names are parts of */
} CliWeights;

bool cli_weights(const CliArgs *args, CliWeights *out, char err[ERR_MAX]);
void cli_weights_free(CliWeights *w);
/* Sets the predictor's way of working, and loads the weights (weights NULL: they are there). */
bool cli_predictor(const CliArgs *args, Predictor *p, const CliWeights *weights, char err[ERR_MAX]);
/* What the module says is done to predicted masks, and options add; m NULL: what options say alone. */
bool cli_cleaning(const CliArgs *args, const Module *m, Cleaning *out, char err[ERR_MAX]);
#endif
