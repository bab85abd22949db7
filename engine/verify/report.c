#include "verify/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/calendar.h"

static const struct asked not_asked = { .standing = STANDING_NOT_ASKED };

/* Both languages of one text; the pointer is to static memory. */
struct words { const char *in[REPORT_LANGUAGES]; };

/* In words, why a verdict is not TOTAL-PASSED; follows a colon. */
static const struct words whys[IND_COUNT] = {
	[IND_NONE] = { { "không rõ lý do", "for no known reason" } },
	[IND_FORMAT_FAILURE] = { { "cấu trúc của tệp hoặc của chữ ký đã bị sửa, hoặc không đúng "
				   "quy cách",
				   "the form of the file or of a signature was tampered with, or "
				   "is not as it has to be" } },
	[IND_HASH_FAILURE] = { { "nội dung không còn là nội dung đã được ký",
				 "its content is not what was signed" } },
	[IND_SIG_CRYPTO_FAILURE] = { { "giá trị chữ ký sai", "a signature's value is wrong" } },
	[IND_REVOKED] = { { "chứng thư số đã bị thu hồi trước thời điểm ký",
			    "a certificate was revoked before the signing time" } },
	[IND_NOT_YET_VALID] = { { "chứng thư số chưa có hiệu lực vào thời điểm ký",
				  "a certificate was not yet valid at the signing time" } },
	[IND_SIG_CONSTRAINTS_FAILURE] = { { "chữ ký không đáp ứng yêu cầu đối với kết quả điện tử",
					    "a signature is not of the kind that is required" } },
	[IND_CHAIN_CONSTRAINTS_FAILURE] = { { "chứng thư số không được dùng để ký như vậy",
					      "a certificate may not be used to sign so" } },
	[IND_CRYPTO_CONSTRAINTS_FAILURE] = { { "thuật toán hoặc độ dài khóa không được chấp nhận",
					       "an algorithm or key size is not allowed" } },
	[IND_NO_SIGNING_CERTIFICATE_FOUND] = { { "chữ ký không kèm chứng thư số của người ký",
						 "the signer's certificate is not in it" } },
	[IND_NO_CERTIFICATE_CHAIN_FOUND] = { { "chứng thư số không thuộc tổ chức chứng thực được "
					       "tin cậy", "a certificate is not of an authority "
					       "that is trusted here" } },
	[IND_OUT_OF_BOUNDS_NO_POE] = { { "chứng thư số đã hết hạn vào thời điểm ký",
					 "a certificate had expired at the signing time" } },
	[IND_REVOKED_NO_POE] = { { "chứng thư số bị thu hồi về sau, không có gì chứng minh chữ ký "
				   "được tạo trước đó", "a certificate was revoked later, and "
				   "nothing proves that the signature is older" } },
	[IND_TRY_LATER] = { { "thiếu thông tin thu hồi chứng thư số còn mới",
			      "there is no recent word on whether a certificate was revoked" } },
	[IND_GENERIC] = { { "tệp không thuộc dạng mà hệ thống có thể kiểm tra trọn vẹn",
			    "the file is of a form that cannot be checked as a whole here" } },
};

const char *standing_name(enum standing s)
{
	static const char *const names[] = { "NOT_ASKED", "ISSUED", "DIFFERENT", "UNKNOWN",
					     "PENDING" };

	return names[s];
}

const char *life_name(enum life l)
{
	static const char *const names[] = { "", "VALID", "CORRECTED", "REPLACED", "REVOKED",
					     "EXPIRED" };

	return names[l];
}

bool asked_good(const struct asked *a)
{
	return a->standing == STANDING_ISSUED &&
		(a->life == LIFE_VALID || a->life == LIFE_CORRECTED);
}

/* ---- pieces ---- */

static const char *either(enum report_language in, const char *vi, const char *en)
{
	return in == REPORT_VI ? vi : en;
}

/* Cut at a character. */
static void put(char *out, size_t max, const char *fmt, ...) printf_like(3, 4);
static void put(char *out, size_t max, const char *fmt, ...)
{
	size_t n = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(out + n, max - n, fmt, ap) >= (int)(max - n)) {
		for (n = max - 1; n > 0 && ((uint8_t)out[n - 1] & 0xC0) == 0x80; n--)
			;
		out[n > 0 && (uint8_t)out[n - 1] >= 0xC0 ? n - 1 : n] = '\0';
	}
	va_end(ap);
}

/* As Vietnam writes a day, and as machines do. */
static void put_day(char *out, size_t max, enum report_language in, uint32_t day)
{
	if (in == REPORT_VI)
		put(out, max, "%02u/%02u/%04u", day % 100, day / 100 % 100, day / 10000);
	else
		put(out, max, "%04u-%02u-%02u", day / 10000, day / 100 % 100, day % 100);
}

static void put_time(char *out, size_t max, enum report_language in, int64_t ms)
{
	struct civil t = civil_vietnam(ms);

	put(out, max, "%s%02u:%02u ", either(in, " lúc ", " at "), t.hour, t.minute);
	put(out, max, "%s", either(in, "ngày ", ""));
	put_day(out, max, in, day_vietnam(ms));
}

static void put_signers(char *out, size_t max, enum report_language in, const struct report *r)
{
	for (uint8_t i = 0; i < r->signatures_n; i++) {
		const struct signature_report *s = &r->signatures[i];

		put(out, max, "%s%s", i == 0 ? "" : i + 1 < r->signatures_n ? ", " :
		    either(in, " và ", " and "), s->subject[0] != '\0' ? s->subject :
		    either(in, "người không rõ tên", "somebody unnamed"));
		if (s->signed_ms != INT64_MIN)
			put_time(out, max, in, s->signed_ms);
	}
}

/* ---- 1: unchanged? ---- */

static void unchanged(char *out, size_t max, enum report_language in, const struct report *r,
		      const struct asked *a)
{
	const char *why = whys[r->finding.indication].in[in];
	const char *added = r->issued_bytes == r->file_bytes ? "" :
			    either(in, " (phía sau chỉ có bằng chứng được bổ sung)",
				   " (with nothing but evidence added behind it)");
	bool same = a->standing == STANDING_ISSUED;

	if (a->standing == STANDING_DIFFERENT)
		put(out, max, either(in, "Đây KHÔNG phải tệp đã được cấp là %s: tệp đã bị sửa hoặc "
				     "làm giả.", "This is NOT the file that was issued as %s: it "
				     "was changed, or made up."), a->result_id);
	else if (r->finding.verdict == VERDICT_PASSED)
		put(out, max, "%s%s%s.", either(in, "Tệp không bị thay đổi kể từ khi ký",
						"The file has not been changed since it was "
						"signed"),
		    same ? either(in, ", và đúng từng byte là tệp đã được cấp",
				  ", and is bit for bit the file that was issued") : "",
		    added);
	else if (r->finding.verdict == VERDICT_FAILED)
		put(out, max, "%s: %s.", same ?
		    either(in, "Đúng từng byte là tệp đã được cấp, nhưng chữ ký không hợp lệ",
			   "It is bit for bit the file that was issued, but a signature is "
			   "invalid") :
		    either(in, "Tệp KHÔNG được coi là nguyên vẹn",
			   "The file does NOT count as unchanged"), why);
	else
		put(out, max, "%s%s%s: %s.", same ?
		    either(in, "Đúng từng byte là tệp đã được cấp",
			   "It is bit for bit the file that was issued") : "",
		    same ? added : "", same ?
		    either(in, ", nhưng chưa kết luận được về chữ ký",
			   ", but its signatures are undetermined") :
		    either(in, "Chưa kết luận được tệp có nguyên vẹn hay không",
			   "Whether the file is unchanged is undetermined"), why);
}

/* ---- 2: by whom? ---- */

static void put_issuer(char *out, size_t max, enum report_language in, const struct report *r,
		       const struct asked *a)
{
	bool issued = a->standing == STANDING_ISSUED;
	const char *unit = issued ? a->unit_name : r->said.unit_name;
	const char *number = issued ? a->number : r->said.number;

	put(out, max, "%s", issued ? a->kind_name : r->said.kind_name);
	if (number[0] != '\0')
		put(out, max, either(in, " số %s", " no. %s"), number);
	put(out, max, either(in, ", do %s cấp", ", issued by %s"), unit);
}

static void by_whom(char *out, size_t max, enum report_language in, const struct report *r,
		    const struct asked *a)
{
	bool passed = r->finding.verdict == VERDICT_PASSED && a->standing != STANDING_DIFFERENT;
	bool named = a->standing == STANDING_ISSUED || r->said.read;

	if (passed || a->standing == STANDING_ISSUED) {
		if (named)
			put_issuer(out, max, in, r, a);
		else
			put(out, max, "%s",
			    either(in, "Tệp không do hệ thống này lập nên không rõ cơ quan cấp",
				   "The file was not made by this system: its issuer is not known "
				   "here"));
		if (r->signatures_n == 0) {
			put(out, max, ".");
			return;
		}
		put(out, max, "%s", passed ? either(in, "; ký bởi ", "; signed by ") :
		    either(in, "; mang tên người ký (chưa được xác nhận): ",
			   "; signatures in the name of (not confirmed): "));
	} else if (r->signatures_n == 0) {
		put(out, max, "%s", either(in, "Không tìm thấy chữ ký số nào đọc được trong tệp.",
					   "No signature that can be read was found in it."));
		return;
	} else {
		put(out, max, "%s",
		    either(in, "Không xác nhận được ai đã cấp và ai đã ký; tệp mang chữ ký đứng "
			       "tên ",
			   "Who issued and who signed it is not confirmed; it has signatures in "
			   "the name of "));
	}
	put_signers(out, max, in, r);
	put(out, max, ".");
}

/* ---- 3: in force? ---- */

static void paper(char *out, size_t max, enum report_language in, const struct asked *a)
{
	put(out, max, either(in, " số %s ngày ", " %s of "), a->paper_number);
	put_day(out, max, in, a->paper_day);
	put(out, max, a->ground[0] != '\0' ? ": %s." : "%s.", a->ground);
}

static void put_life(char *out, size_t max, enum report_language in, const struct asked *a)
{
	switch (a->life) {
	case LIFE_VALID:
		put(out, max, "%s", either(in, "Còn hiệu lực.", "Still in force."));
		break;
	case LIFE_CORRECTED:
		put(out, max, "%s", either(in, "Còn hiệu lực, đã đính chính theo công văn",
					   "Still in force, corrected by"));
		paper(out, max, in, a);
		break;
	case LIFE_REPLACED:
		put(out, max, either(in, "Đã được thay thế bởi kết quả %s.",
				     "Replaced by result %s."), a->replaced_by);
		break;
	case LIFE_REVOKED:
		put(out, max, "%s", either(in, "Đã bị thu hồi theo quyết định",
					   "Revoked by decision"));
		paper(out, max, in, a);
		if (a->replaced_by[0] != '\0')
			put(out, max, either(in, " Kết quả thay thế là %s.",
					     " Result %s stands in its place."), a->replaced_by);
		break;
	default:
		put(out, max, "%s", either(in, "Đã hết hiệu lực; ngày cuối cùng là ",
					   "Expired; its last day was "));
		put_day(out, max, in, a->valid_until);
		put(out, max, ".");
	}
}

static void in_force(char *out, size_t max, enum report_language in, const struct asked *a)
{
	static const struct words said[] = {
		[STANDING_NOT_ASKED] = { { "Chưa hỏi kết quả này còn hiệu lực hay không.",
					   "Whether it is still in force was not asked." } },
		[STANDING_ISSUED] = { { "", "" } },
		[STANDING_DIFFERENT] = { { "Không nói được gì về hiệu lực: tệp này chưa từng được "
					   "cấp.",
					   "Nothing can be said of its force: this file was never "
					   "issued." } },
		[STANDING_UNKNOWN] = { { "Hệ thống không có kết quả này.",
					 "The engine knows of no such result." } },
		[STANDING_PENDING] = { { "Kho dữ liệu tạm thời không truy cập được, chưa biết còn "
					 "hiệu lực hay không; hãy hỏi lại.",
					 "The store is away: whether it is in force is not known "
					 "now; ask again." } },
	};

	if (a->standing == STANDING_ISSUED)
		put_life(out, max, in, a);
	else
		put(out, max, "%s", said[a->standing].in[in]);
}

void report_sentence(char out[REPORT_SENTENCE_BYTES], enum report_language in, uint32_t which,
		     const struct report *r, const struct asked *asked)
{
	const struct asked *a = asked != NULL ? asked : &not_asked;

	out[0] = '\0';
	if (which == 0)
		unchanged(out, REPORT_SENTENCE_BYTES, in, r, a);
	else if (which == 1)
		by_whom(out, REPORT_SENTENCE_BYTES, in, r, a);
	else
		in_force(out, REPORT_SENTENCE_BYTES, in, a);
}
