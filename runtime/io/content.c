/* content.c - what a file is that is no image: an archive not unpacked, a download that failed. */
#include <string.h>
#include <strings.h>
#include "runtime/io/format.h"

/* Files that have these bytes `at` a place. */
static const struct {
  size_t at;
  const char *bytes;
  const char *says;
} kinds[] = {
    {0, "version https://git-lfs", "a pointer of Git LFS instead of the file: fetch it with `git lfs pull`"},
    {0, "PK\3\4", "a ZIP archive: unpack it first"},
    {0, "Rar!\x1a", "a RAR archive: unpack it first"},
    {0, "7z\xbc\xaf\x27", "a 7-Zip archive: unpack it first"},
    {257, "ustar", "a tar archive: unpack it first"},
    {0, "%PDF-", "a PDF document"},
    {0, "GIF8", "a GIF picture: convert it to PNG"},
    {8, "WEBPVP8", "a WebP picture: convert it to PNG"},
    {4, "jP  \r\n", "a JPEG 2000 picture: convert it to PNG or TIFF"},
    {4, "ftypheic", "a HEIC picture: convert it to PNG"},
    {4, "ftypavif", "an AVIF picture: convert it to PNG"},
    {0, "8BPS", "a Photoshop file: save it as PNG or TIFF"},
};

static bool text_is(const uint8_t *head, size_t size, const char *text) {
  size_t n = strlen(text);
  return size >= n && !strncasecmp((const char *)head, text, n);
}

/* A page that a server sent instead of the file, behind a byte order mark and blanks. */
static bool is_web_page(const uint8_t *head, size_t size) {
  size_t i = text_is(head, size, "\xef\xbb\xbf") ? 3 : 0;
  while (i < size && strchr(" \t\r\n", head[i]) && head[i]) i++;
  return text_is(head + i, size - i, "<!doctype html") || text_is(head + i, size - i, "<html");
}

static bool is_zero(const uint8_t *head, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (head[i]) return false;
  return true;
}

const char *content_says(const uint8_t *head, size_t size) {
  if (!size) return "nothing: it is empty";
  if (is_web_page(head, size)) return "a web page (HTML): the download failed, or asked for a login";
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t n = strlen(kinds[i].bytes);
    if (size >= kinds[i].at + n && !memcmp(head + kinds[i].at, kinds[i].bytes, n)) return kinds[i].says;
  }
  return is_zero(head, size) ? "only zeros where it begins: a copy that was not finished" : NULL;
}
