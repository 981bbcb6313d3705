/* test_region_training.c - a network learns regions that overlap from masks of classes: trained, scored and
 * asked for masks on made-up volumes. The example of docs/language.md. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include "tests/text.h"

/* The example of the page, on the made-up data set: organs with lesions in them. */
static void write_example(void) {
  char *doc = read_text("docs/language.md"), *from = strstr(doc, "    option size = [64, 64]\n"),
       *to = from ? strstr(from, "\n\n**") : NULL;
  assert_non_null(to);
  *to = 0;
  FILE *f = fopen(in_root("example.net"), "w");
  assert_non_null(f);
  fprintf(f, "%s\n", from);
  fclose(f);
  free(doc);
}

static double column_of(const char *row, int column) {
  while (column--) row = strchr(row, ',') + 1;
  return strtod(row, NULL);
}

TEST(a_network_learns_regions_from_masks_of_classes) {
  write_example();
  runs("cp -r %s/models/blocks blocks; " NETC_BINARY
       " example.net -o example.so -D 'widths=[8,16,16]' -D rate=0.01",
       source);
  runs(NETRUN_BINARY " train example.so --data phantom --out run --iterations 250 --eval-every 125 --seed 3");
  char *log = read_text(in_root("run/metrics.csv")), *last = strrchr(log, '\n');
  while (last > log && last[-1] != '\n') last--;
  double first_loss = column_of(strchr(log, '\n') + 1, 1), last_loss = column_of(last, 1);
  if (!(last_loss < first_loss / 2)) fail_msg("%g, then %g", first_loss, last_loss);
  free(log);
  runs(NETRUN_BINARY " eval example.so --data phantom --weights run/last.safetensors --out ev --metrics di");
  char *csv = read_text(in_root("ev/eval.csv"));
  assert_int_equal(strncmp(csv, "name,DI,DI:organ,DI:lesion\n", 27), 0);
  double organ = 0, lesion = 0;
  int n = 0;
  for (char *row = strchr(csv, '\n') + 1; *row; row = strchr(row, '\n') + 1, n++)
    organ += column_of(row, 2), lesion += column_of(row, 3);
  if (!(organ / n > 0.9 && lesion / n > 0.4)) fail_msg("%g and %g of %d", organ / n, lesion / n, n);
  free(csv);
}

RUN_TESTS(shell_set_up, scratch_tear_down)
