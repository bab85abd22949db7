#include "render/press.h"

#include "base/calendar.h"
#include "base/hash.h"
#include "render/words.h"

#define DOTS "……"

/* ---- of the original that is copied ---- */

/* In the order of enum original_format. */
static const struct { const char *name, *code, *file, *mime; } formats[] = {
	[ORIGINAL_JPEG] = { "JPEG", "jpeg", "ban-goc.jpg", "image#2Fjpeg" },
	[ORIGINAL_PNG] = { "PNG", "png", "ban-goc.png", "image#2Fpng" },
	[ORIGINAL_PDF] = { "PDF", "pdf", "ban-goc.pdf", "application#2Fpdf" },
};

static_assert(ARRAY_LEN(formats) == ORIGINAL_FORMAT_COUNT, "a row for every format");

const char *original_code(const struct original *o)
{
	return formats[o->format].code;
}

const char *original_file(const struct original *o)
{
	return formats[o->format].file;
}

const char *original_mime(const struct original *o)
{
	return formats[o->format].mime;
}

/* Why no page shows it, behind "vì". */
static const char *const reasons[] = {
	[ORIGINAL_REBUILT] = "",
	[ORIGINAL_NOT_IMAGES] = "nội dung của tệp không phải là mỗi trang một ảnh quét: dựng lại "
		"có thể làm sai nội dung",
	[ORIGINAL_SIGNED] = "tệp đã được ký số: dựng lại sẽ làm mất chữ ký số",
	[ORIGINAL_COLOUR] = "ảnh dùng hệ màu mà định dạng lưu trữ PDF/A không giữ nguyên được",
	[ORIGINAL_CODING] = "ảnh có phần trong suốt hoặc cách mã hóa không giữ nguyên được khi "
		"dựng thành trang",
	[ORIGINAL_LONG] = "tệp có quá nhiều trang ảnh để dựng lại",
	[ORIGINAL_OWN] = "tệp là kết quả điện tử đã ký số do cơ quan ban hành: dựng lại sẽ làm mất "
		"chữ ký số",
	[ORIGINAL_TAIL] = "tệp còn dữ liệu khác ở sau ảnh: dựng lại sẽ làm mất dữ liệu đó",
};

static_assert(ARRAY_LEN(reasons) == ORIGINAL_WRAPPED_COUNT, "words for every reason");

/* What a preview, which has no original, may say of it. */
static void write_unknown(struct writer *w, const struct kind *k, enum run_builtin b)
{
	bool own = k->copies == COPIES_RESULT;

	if (own && b == BUILTIN_FILE)
		write_str(w, formats[ORIGINAL_PDF].file);
	else if (own && b == BUILTIN_FORMAT)
		write_str(w, formats[ORIGINAL_PDF].name);
	else if (b != BUILTIN_WRAPPED && b != BUILTIN_CORRECTED)
		write_str(w, DOTS);
	else if (own && b == BUILTIN_WRAPPED)
		write_str(w, reasons[ORIGINAL_OWN]);
}

void write_sha256(struct writer *w, const uint8_t sha256[SHA256_BYTES])
{
	char text[2 * SHA256_BYTES];

	hex_lower(text, sha256, SHA256_BYTES);
	write_bytes(w, text, sizeof(text));
}

static void write_original(struct writer *w, const struct original *o, enum run_builtin b)
{
	if (b == BUILTIN_FILE)
		write_str(w, original_file(o));
	else if (b == BUILTIN_FORMAT)
		write_str(w, formats[o->format].name);
	else if (b == BUILTIN_BYTES)
		words_number(w, o->size, 0, RUN_NUMBER);
	else if (b == BUILTIN_PAGES && o->pages > 0)
		write_number(w, o->pages);
	else if (b == BUILTIN_SHA256)
		write_sha256(w, o->sha256);
	else if (b == BUILTIN_WRAPPED)
		write_str(w, reasons[o->wrapped]);
	else if (b == BUILTIN_CORRECTED && original_corrected(o)) {
		write_bytes(w, o->source->corrected.p, o->source->corrected.n);
		write_u8(w, ' ');
		words_day(w, o->source->corrected_day);
	}
}

/* ---- of number and date ---- */

static void write_two_digits(struct writer *w, uint64_t n)
{
	if (n < 10)
		write_u8(w, '0');
	words_number(w, (int64_t)n, 0, RUN_PLAIN);
}

static void write_book(struct writer *w, const struct item *item, bool draft)
{
	char book[NUMBER_TEXT_BYTES_MAX + 1];

	number_book(book, item->kind, item->unit, draft ? 0 : item->number, item->register_year);
	write_str(w, book);
}

static void write_date(struct writer *w, const struct press *p)
{
	if (p->t->draft == DRAFT_TO_SIGN)
		write_str(w, "ngày …… tháng …… năm ……");
	else
		words_day(w, day_vietnam(p->item->issued_ms));
}

void write_builtin(const struct press *p, enum run_builtin b, struct writer *w)
{
	const struct item *item = p->item;
	bool draft = p->t->draft != DRAFT_NONE;

	if (b == BUILTIN_NUMBER)
		write_str(w, p->t->draft == DRAFT_TRY ? DOTS : item->number_text);
	else if (b == BUILTIN_DATE)
		write_date(w, p);
	else if (b == BUILTIN_BOOK)
		write_book(w, item, draft);
	else if (draft && (b == BUILTIN_SERIAL || b == BUILTIN_VOLUME))
		write_str(w, DOTS);
	else if (b == BUILTIN_SERIAL)
		write_two_digits(w, item->number);
	else if (b == BUILTIN_VOLUME)
		write_two_digits(w, number_volume(item->kind, item->number));
	else if (p->original != NULL)
		write_original(w, p->original, b);
	else
		write_unknown(w, item->kind, b);
}
