/* spell.h - which of the names there are was meant by a misspelt one. */
#ifndef NETRUN_SPELL_H
#define NETRUN_SPELL_H

/* Levenshtein distance: the least number of characters to insert, delete or replace. Words longer than
 * SPELL_MOST are unlike all others (SPELL_MOST). */
enum { SPELL_MOST = 128 };
int edit_distance(const char *a, const char *b);
/* Fills out[0..most-1] with the names nearest to `word`, nearest first, in their order where equally near;
 * those further away than `within` are none. Returns how many there are. */
int nearest_names(const char *word, const char *const *names, int n, int within, const char **out, int most);
#endif
