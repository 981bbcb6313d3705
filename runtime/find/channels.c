/* channels.c - which of the data set's channels the module wants, by their names. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "runtime/find/search.h"

static int index_of(const char *const *list, int n, const char *name) {
  for (int i = 0; i < n; i++)
    if (list[i] && !strcasecmp(list[i], name)) return i;
  return -1;
}

/* "flair, t1, t2" */
static const char *joined(Search *s, const char *const *list, int n) {
  const char *text = "";
  for (int i = 0; i < n; i++)
    text = keep_text(s->keep, "%s%s%s", text, i ? ", " : "", list[i] ? list[i] : "?");
  return text;
}

static bool one_file(const Search *s) {
  for (int i = 0; i < s->npart; i++)
    if (s->part[i].role == ROLE_IMAGE && s->part[i].channel) return false;
  return true;
}

/* Of every image the files that are meant, in the module's order. */
static void choose_files(Search *s) {
  const FindOptions *o = s->options;
  Found *f = s->found;
  for (int i = 0; i < s->npart; i++) {
    Part *p = &s->part[i];
    if (p->role != ROLE_IMAGE) continue;
    const char *name = p->order < f->nchannel ? f->channel[p->order] : NULL;
    int at = name ? index_of(o->channel, o->nchannel, name) : -1;
    if (at < 0) p->role = ROLE_IGNORED;
    else p->order = at;
  }
  f->channel = keep_bytes(s->keep, (size_t)(o->nchannel + 1) * sizeof *f->channel);
  for (int i = 0; f->channel && i < o->nchannel; i++) f->channel[i] = keep_text(s->keep, "%s", o->channel[i]);
  f->nchannel = s->channels = o->nchannel;
}

void channels_by_name(Search *s) {
  const FindOptions *o = s->options;
  Found *f = s->found;
  if (!o->channel || !f->channel || !f->nchannel) return;
  bool all = true, same = o->nchannel == f->nchannel;
  for (int i = 0; i < o->nchannel; i++) {
    int at = index_of(f->channel, f->nchannel, o->channel[i]);
    all = all && at >= 0, same = same && at == i;
  }
  if (same) return;
  if (all && !one_file(s)) choose_files(s);
  else
    oddity_add(f, ODD_channels, false, "the channels are %s, the module's %s; they are taken in this order",
               joined(s, f->channel, f->nchannel), joined(s, o->channel, o->nchannel));
}
