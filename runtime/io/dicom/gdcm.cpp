/* gdcm.cpp - the plug-in for DICOM, on GDCM: it decodes JPEG 2000, which Debian's DCMTK does not, and brings
 * 5 packages where that brings 14. */
#include <gdcmImageApplyLookupTable.h>
#include <gdcmImageChangePlanarConfiguration.h>
#include <gdcmImageReader.h>
#include <gdcmReader.h>
#include <gdcmSequenceOfItems.h>
#include <gdcmTrace.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>
#include "runtime/io/dicom/dicom.h"

using gdcm::DataSet;
using gdcm::Tag;

/* ---- elements ---- */

/* An element's value as text, less the blanks and zeros that fill it up. */
static std::string text_of(const DataSet &set, const Tag &tag) {
  if (!set.FindDataElement(tag)) return "";
  const gdcm::ByteValue *bytes = set.GetDataElement(tag).GetByteValue();
  if (!bytes || !bytes->GetPointer()) return "";
  std::string text(bytes->GetPointer(), bytes->GetLength());
  size_t end = text.find_last_not_of(std::string(" \0\n", 3)), begin = text.find_first_not_of(' ');
  return end == std::string::npos ? "" : text.substr(begin, end + 1 - begin);
}

static void copy_text(char out[DICOM_TEXT], const DataSet &set, const Tag &tag) {
  snprintf(out, DICOM_TEXT, "%s", text_of(set, tag).c_str());
}

/* Decimal numbers, "0.5\0.5"; as many as there are. */
static std::vector<double> numbers_of(const DataSet &set, const Tag &tag) {
  std::vector<double> out;
  std::string text = text_of(set, tag);
  for (const char *p = text.c_str(); *p;) {
    char *end;
    double v = strtod(p, &end);
    if (end == p) break;
    out.push_back(v);
    p = *end == '\\' ? end + 1 : end;
  }
  return out;
}

static double number_of(const DataSet &set, const Tag &tag, double otherwise) {
  std::vector<double> v = numbers_of(set, tag);
  return v.empty() ? otherwise : v[0];
}

/* A whole number; what no int holds, or is none, is 0. */
static int whole_of(const DataSet &set, const Tag &tag, int otherwise) {
  double v = number_of(set, tag, otherwise);
  return v >= -1e9 && v <= 1e9 ? static_cast<int>(v) : 0;
}

/* An unsigned short; GDCM has turned its bytes to the machine's order. */
static int short_of(const DataSet &set, const Tag &tag, int otherwise) {
  if (!set.FindDataElement(tag)) return otherwise;
  const gdcm::ByteValue *bytes = set.GetDataElement(tag).GetByteValue();
  unsigned short v;
  if (!bytes || bytes->GetLength() < sizeof v) return otherwise;
  memcpy(&v, bytes->GetPointer(), sizeof v);
  return v;
}

/* Item `n` (from 0) of a sequence; nullptr where there is none. The items live as long as `keep`. */
typedef std::vector<gdcm::SmartPointer<gdcm::SequenceOfItems>> Kept;
static const DataSet *item_of(const DataSet &set, const Tag &tag, size_t n, Kept &keep) {
  if (!set.FindDataElement(tag)) return nullptr;
  gdcm::SmartPointer<gdcm::SequenceOfItems> items = set.GetDataElement(tag).GetValueAsSQ();
  if (!items || items->GetNumberOfItems() <= n) return nullptr;
  keep.push_back(items);
  return &items->GetItem(n + 1).GetNestedDataSet();
}

/* ---- the header ---- */

static const Tag pixel_data(0x7fe0, 0x0010);

static void read_file(const DataSet &set, DicomFile *f) {
  copy_text(f->sop_class, set, Tag(0x0008, 0x0016));
  copy_text(f->sop_instance, set, Tag(0x0008, 0x0018));
  copy_text(f->series, set, Tag(0x0020, 0x000e));
  copy_text(f->description, set, Tag(0x0008, 0x103e));
  copy_text(f->modality, set, Tag(0x0008, 0x0060));
  copy_text(f->photometric, set, Tag(0x0028, 0x0004));
  f->rows = short_of(set, Tag(0x0028, 0x0010), 0);
  f->columns = short_of(set, Tag(0x0028, 0x0011), 0);
  f->frames = whole_of(set, Tag(0x0028, 0x0008), 1);
  bool palette = !strcmp(f->photometric, "PALETTE COLOR");
  f->samples = palette ? 3 : short_of(set, Tag(0x0028, 0x0002), 1);
  f->bits = short_of(set, Tag(0x0028, 0x0100), 0);
  f->stored = short_of(set, Tag(0x0028, 0x0101), f->bits);
  f->is_signed = short_of(set, Tag(0x0028, 0x0103), 0) == 1;
  f->lossy = text_of(set, Tag(0x0028, 0x2110)) == "01";
  f->instance = whole_of(set, Tag(0x0020, 0x0013), 0);
  f->thickness = number_of(set, Tag(0x0018, 0x0088), number_of(set, Tag(0x0018, 0x0050), 0));
  if (f->rows <= 0 || f->columns <= 0 || f->frames <= 0 || f->bits <= 0) f->rows = 0;
}

/* What a data set says of a slice: the file's own, or an item of an enhanced file's functional groups. */
static void read_place(const DataSet &set, DicomFrame *f) {
  std::vector<double> position = numbers_of(set, Tag(0x0020, 0x0032)),
                      direction = numbers_of(set, Tag(0x0020, 0x0037));
  if (position.size() == 3) {
    f->placed = true;
    memcpy(f->position, position.data(), sizeof f->position);
  }
  if (direction.size() == 6) {
    f->oriented = true;
    memcpy(f->along_row, direction.data(), sizeof f->along_row);
    memcpy(f->down, direction.data() + 3, sizeof f->down);
  }
  /* in the patient; else, of projections, on the detector; of scanned film */
  static const Tag spacing[] = {Tag(0x0028, 0x0030), Tag(0x0018, 0x1164), Tag(0x0018, 0x2010)};
  for (const Tag &tag : spacing) {
    std::vector<double> mm = numbers_of(set, tag);
    if (mm.size() != 2 || f->column_step > 0) continue;
    f->row_step = mm[0], f->column_step = mm[1];
  }
  f->slope = number_of(set, Tag(0x0028, 0x1053), f->slope);
  f->intercept = number_of(set, Tag(0x0028, 0x1052), f->intercept);
}

/* The functional groups that enhanced files have in place of the plain elements. */
static void read_groups(const DataSet &set, const Tag &groups, size_t item, DicomFile *file, DicomFrame *f,
                        Kept &keep) {
  static const Tag place[] = {Tag(0x0020, 0x9113), Tag(0x0020, 0x9116), Tag(0x0028, 0x9110),
                              Tag(0x0028, 0x9145)};
  const DataSet *group = item_of(set, groups, item, keep);
  for (const Tag &tag : place) {
    const DataSet *inner = group ? item_of(*group, tag, 0, keep) : nullptr;
    if (!inner) continue;
    read_place(*inner, f);
    file->thickness = number_of(*inner, Tag(0x0018, 0x0088), file->thickness);
    if (!(file->thickness > 0)) file->thickness = number_of(*inner, Tag(0x0018, 0x0050), 0);
  }
}

static bool fail(const char *path, const char *what, char err[ERR_MAX]) {
  snprintf(err, ERR_MAX, "%s: %s", path, what);
  return false;
}

static bool read_header(const char *path, DicomFile *file, DicomFrame **frame, char err[ERR_MAX]) {
  gdcm::Reader reader;
  reader.SetFileName(path);
  *file = DicomFile(), *frame = nullptr;
  if (!reader.ReadUpToTag(pixel_data)) return fail(path, "not a DICOM file, or damaged", err);
  const DataSet &set = reader.GetFile().GetDataSet();
  read_file(set, file);
  if (!file->rows) return true;
  if (file->frames > DICOM_FRAMES) return fail(path, "it says that it has more frames than are read", err);
  *frame = static_cast<DicomFrame *>(calloc(static_cast<size_t>(file->frames), sizeof **frame));
  if (!*frame) return fail(path, "not enough memory for its frames", err);
  Kept keep;
  for (int i = 0; i < file->frames; i++) {
    DicomFrame *f = &(*frame)[i];
    f->slope = 1;
    read_place(set, f);
    read_groups(set, Tag(0x5200, 0x9229), 0, file, f, keep);
    read_groups(set, Tag(0x5200, 0x9230), static_cast<size_t>(i), file, f, keep);
    keep.clear();
  }
  return true;
}

/* ---- pixels ---- */

/* YCbCr of full range to red, green, blue (ITU-T T.871), in place; 8 bits. */
static void rgb_of_ybr(unsigned char *p, size_t pixels) {
  for (; pixels > 0; pixels--, p += 3) {
    double y = p[0], cb = p[1] - 128.0, cr = p[2] - 128.0;
    double rgb[3] = {y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb};
    for (int c = 0; c < 3; c++)
      p[c] = static_cast<unsigned char>(rgb[c] < 0 ? 0 : rgb[c] > 255 ? 255 : rgb[c] + 0.5);
  }
}

/* Palettes applied, colours interleaved. */
static const gdcm::Image *plain_image(const gdcm::Image &stored, gdcm::ImageApplyLookupTable &palette,
                                      gdcm::ImageChangePlanarConfiguration &interleave) {
  const gdcm::Image *image = &stored;
  if (image->GetPhotometricInterpretation() == gdcm::PhotometricInterpretation::PALETTE_COLOR) {
    palette.SetInput(*image);
    if (!palette.Apply()) return nullptr;
    image = &palette.GetOutput();
  }
  if (image->GetPlanarConfiguration() == 0) return image;
  interleave.SetInput(*image);
  interleave.SetPlanarConfiguration(0);
  return interleave.Change() ? &interleave.GetOutput() : nullptr;
}

static bool read_pixels(const char *path, DicomFile *file, void **out, char err[ERR_MAX]) {
  gdcm::ImageReader reader;
  gdcm::ImageApplyLookupTable palette;
  gdcm::ImageChangePlanarConfiguration interleave;
  reader.SetFileName(path);
  *out = nullptr;
  if (!reader.Read())
    return fail(path, "its pixels cannot be read: damaged, or of a kind that GDCM does not know", err);
  const gdcm::Image *image = plain_image(reader.GetImage(), palette, interleave);
  if (!image) return fail(path, "its colours cannot be told", err);
  const gdcm::PixelFormat &format = image->GetPixelFormat();
  file->bits = format.GetBitsAllocated(), file->stored = format.GetBitsStored();
  file->is_signed = format.GetPixelRepresentation() == 1;
  size_t pixels = static_cast<size_t>(file->rows) * static_cast<size_t>(file->columns) *
                  static_cast<size_t>(file->frames);
  size_t size = pixels * static_cast<size_t>(file->samples) * static_cast<size_t>(file->bits / 8);
  if (image->GetBufferLength() != size)
    return fail(path, "its pixels are not as many as its header says", err);
  *out = malloc(size);
  if (!*out) return fail(path, "not enough memory for its pixels", err);
  if (!image->GetBuffer(static_cast<char *>(*out)))
    return fail(path, "its pixels cannot be decompressed: damaged", err);
  if (strncmp(image->GetPhotometricInterpretation().GetString(), "YBR_FULL", 8)) return true;
  if (file->bits != 8 || file->samples != 3)
    return fail(path, "colours (YBR) of more than 8 bits are not read", err);
  rgb_of_ybr(static_cast<unsigned char *>(*out), pixels);
  return true;
}

/* ---- the door ---- */

/* Nothing that is thrown leaves the plug-in. */
template <typename Call> static bool caught(const char *path, char err[ERR_MAX], Call call) {
  try {
    return call();
  } catch (const std::exception &e) { return fail(path, e.what(), err); } catch (...) {
    return fail(path, "damaged: GDCM failed on it", err);
  }
}

static bool header(const char *path, DicomFile *file, DicomFrame **frame, char err[ERR_MAX]) {
  return caught(path, err, [&] { return read_header(path, file, frame, err); });
}

static bool pixels(const char *path, DicomFile *file, void **out, char err[ERR_MAX]) {
  return caught(path, err, [&] { return read_pixels(path, file, out, err); });
}

const DicomPlugin *netc_dicom(void) {
  static const DicomPlugin plugin = {DICOM_ABI, header, pixels};
  gdcm::Trace::WarningOff(), gdcm::Trace::ErrorOff(), gdcm::Trace::DebugOff();
  return &plugin;
}
