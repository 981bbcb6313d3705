#!/bin/sh
# Fails on a file name, in a page of docs/, in the README or in a comment of the sources, that does not exist;
# on a source file whose head comment does not begin with its name; and on a line longer than 110 columns.
#
#   sh tests/names.sh [ROOT]
#
# A name is PATH.c, .h, .def, .l, .y, .py, .sh or .md: from the root, from the file's own folder, or, without
# a folder, the name of a file of the file's own folder. Names of other programs' files are listed below.
set -eu
cd "${1:-$(dirname "$0")/..}"
files=$(mktemp)
trap 'rm -f "$files"' EXIT
find . \( -path ./build\* -o -path ./.git -o -path ./out \) -prune -o -type f -print |
  sed 's|^\./||' >"$files"

sources='(ir|passes|codegen|frontend|runtime|tests)/.*\.([chly]|cpp|def|py|sh)'
grep -E "^(README\.md|docs/.*\.md|$sources)\$" "$files" | xargs awk '
  BEGIN {
    while ((getline line <"'"$files"'") > 0) exists[line] = 1
    n = split("cuda.h segment.c net.tab.h netc.h OUT/tests/gpu/check.py pack.py check.py PATH.c", other, " ")
    for (i = 1; i <= n; i++) foreign[other[i]] = 1
  }
  FNR == 1 {
    folder = FILENAME; if (!sub(/\/[^\/]*$/, "", folder)) folder = "."
    base = FILENAME; sub(/.*\//, "", base)
    source = FILENAME ~ /\.([chly]|cpp|def)$/
    comment = 0
    if (source && index($0, "/* " base " - ") != 1)
      complain("the head comment does not begin with `/* " base " - `")
  }
  function complain(what) { print FILENAME ":" FNR ": " what; bad = 1 }
  function columns(s) { gsub(/[\200-\277]/, "", s); return length(s) } # bytes that continue a UTF-8 character
  function check(name,    path, dir) {
    if (foreign[name] || exists[name] || exists[folder "/" name]) return
    dir = folder
    while (name ~ /^\.\.\//) { sub(/^\.\.\//, "", name); if (!sub(/\/[^\/]*$/, "", dir)) dir = "." }
    path = dir == "." ? name : dir "/" name
    if (exists[path]) return
    if (name ~ /^[a-z0-9-]+\.md$/ && (exists["docs/" name] || exists["docs/design/" name])) return
    complain("there is no file " name)
  }
  {
    if (columns($0) > 110 && (source || FILENAME ~ /\.(py|sh)$/)) complain("longer than 110 columns")
    text = $0
    if (source) { # comments only
      if (comment || match(text, /\/\*|\/\//)) {
        if (!comment) { text = substr(text, RSTART); comment = text ~ /^\/\*/ }
        if (text ~ /\*\//) comment = 0
      } else next
      if ($0 ~ /^[ \t]*#/) next
    } else if (FILENAME ~ /\.(py|sh)$/ && !match(text, /#/)) next
    while (match(text, /[A-Za-z0-9_.\/]*[A-Za-z0-9_]\.(c|h|def|l|y|py|sh|md)/)) {
      name = substr(text, RSTART, RLENGTH); before = substr(text, RSTART - 1, 1)
      after = substr(text, RSTART + RLENGTH, 1); text = substr(text, RSTART + RLENGTH)
      if (after ~ /[A-Za-z0-9_.(*]/ || before ~ /[-<>$*]/ || name ~ /^\//) continue
      if (name ~ /^[a-z]\.[chly]$/) continue # s.c, p.h: members
      check(name)
    }
  }
  END { exit bad }'
echo "names: all files that are named exist"
