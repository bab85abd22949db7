#include "foreign/pdfinside.h"

#include <stdlib.h>

#include "foreign/flate.h"
#include "foreign/pdflex.h"
#include "limits.h"

/* More than this, and each byte gave more than so many: no text, font or drawing does. */
#define DECODED_BYTES_PLAIN (64ull * 1024 * 1024)
#define DECODED_RATIO 100

/* An image's samples have at most so many components and bits; some programs write more rows. */
#define IMAGE_COMPONENTS_MAX 4
#define IMAGE_BITS_MAX 16
#define IMAGE_BYTES_OVER (1024 * 1024)

bool pdf_stream(struct pdf *p, qpdf_oh stream, struct slice *data)
{
	struct pdf_word word;
	struct reader left;
	struct slice dict;
	int64_t length;

	return qpdf_oh_is_stream(p->q, stream) &&
	       pdf_integer(p, qpdf_oh_get_key(p->q, qpdf_oh_get_dict(p->q, stream), "/Length"), 0,
			   UINT32_MAX, &length) &&
	       xref_stream(&p->xref, qpdf_oh_get_object_id(p->q, stream),
			   qpdf_oh_get_generation(p->q, stream), (uint64_t)length, &dict, data) &&
	       !pdf_find(dict, "F", &word, &left);	/* data of another file */
}

/* What its dictionary says that comes out, at most; 0: it does not say. */
static enum reason image_bytes(struct pdf *p, qpdf_oh dict, uint64_t *out)
{
	int64_t width, height, bits;

	*out = 0;
	if (!pdf_integer(p, qpdf_oh_get_key(p->q, dict, "/Width"), 1, INT32_MAX, &width) ||
	    !pdf_integer(p, qpdf_oh_get_key(p->q, dict, "/Height"), 1, INT32_MAX, &height))
		return REASON_NONE;
	if (!pdf_integer(p, qpdf_oh_get_key(p->q, dict, "/BitsPerComponent"), 1, IMAGE_BITS_MAX,
			 &bits))
		bits = IMAGE_BITS_MAX;
	*out = (uint64_t)height * (1 + ((uint64_t)width * IMAGE_COMPONENTS_MAX * (uint64_t)bits +
					7) / 8) + IMAGE_BYTES_OVER;
	return look_sides((uint32_t)width, (uint32_t)height, p->d);
}

/* Filters that stand in a row, or are not just inflating: qpdf, in the memory that we have. */
static enum reason decoded_by_qpdf(struct pdf *p, qpdf_oh stream)
{
	enum reason why = REASON_NONE;
	unsigned char *bytes = NULL;
	QPDF_BOOL filtered;
	size_t n = 0;

	/* What it says of data that it cannot decode does not make the file's structure wrong. */
	qpdf_oh_get_stream_data(p->q, stream, qpdf_dl_generalized, &filtered, &bytes, &n);
	free(bytes);		/* there with warnings too */
	pdf_complains(p, &why);
	if (why == REASON_ORIGINAL_TOO_LARGE)
		return why;
	/* The memory is bounded too, but not in every build (sandbox.c). */
	if (n > INSPECTION_WORK_BYTES_MAX || n > p->decoded_left)
		return look_refuse(p->d, REASON_ORIGINAL_TOO_LARGE, "PDF: decoded streams");
	p->decoded_left -= n;
	return REASON_NONE;
}

static enum reason inflated(struct pdf *p, struct slice data, uint64_t most)
{
	enum flate_end end;
	uint64_t n;

	if (most > p->decoded_left)
		most = p->decoded_left;
	if (flate_count(data, most, &n, &end) != ST_OK)
		return look_refuse(p->d, REASON_ORIGINAL_TOO_LARGE, "memory");
	p->decoded_left -= n < most ? n : most;
	if (end == FLATE_LONG)
		return look_refuse(p->d, REASON_ORIGINAL_TOO_LARGE, "PDF: bomb, byte %zu",
				   (size_t)(data.p - p->file.p));
	if (end == FLATE_BROKEN)
		return look_refuse(p->d, REASON_ORIGINAL_DAMAGED, "PDF: stream, byte %zu",
				   (size_t)(data.p - p->file.p));
	return REASON_NONE;
}

/* Its samples are as many as its dictionary says, whatever lies in it. */
static bool is_picture(struct pdf *p, qpdf_oh filter)
{
	static const char *const of[] = { "/DCTDecode", "/CCITTFaxDecode", "/JBIG2Decode",
					  "/JPXDecode" };

	for (size_t i = 0; i < ARRAY_LEN(of); i++)
		if (qpdf_oh_is_name_and_equals(p->q, filter, of[i]))
			return true;
	return false;
}

enum reason pdf_decoded(struct pdf *p, qpdf_oh stream)
{
	qpdf_oh dict = qpdf_oh_get_dict(p->q, stream), filter;
	enum reason why = REASON_NONE;
	bool chain = false;
	struct slice data;
	uint64_t most = 0;

	if (qpdf_oh_is_name_and_equals(p->q, qpdf_oh_get_key(p->q, dict, "/Subtype"), "/Image"))
		why = image_bytes(p, dict, &most);
	filter = pdf_only(p, qpdf_oh_get_key(p->q, dict, "/Filter"));
	if (qpdf_oh_is_array(p->q, filter)) {
		chain = true;
		filter = qpdf_oh_get_array_n_items(p->q, filter) == 0 ? qpdf_oh_new_null(p->q) :
			 qpdf_oh_get_array_item(p->q, filter, 0);
	}
	if (why != REASON_NONE || qpdf_oh_is_null(p->q, filter) || is_picture(p, filter))
		return why;
	if (!qpdf_oh_is_name_and_equals(p->q, filter, "/FlateDecode") ||
	    !pdf_stream(p, stream, &data))
		return decoded_by_qpdf(p, stream);
	if (most == 0) {
		most = data.n * (uint64_t)DECODED_RATIO;
		if (most < DECODED_BYTES_PLAIN)
			most = DECODED_BYTES_PLAIN;
	}
	why = inflated(p, data, most);
	return why == REASON_NONE && chain ? decoded_by_qpdf(p, stream) : why;
}
