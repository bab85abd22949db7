/*
 * reason.h - why a case was refused or a result is held: a closed, stable set (AIP-193 ErrorInfo).
 *
 * The name is the contract with case systems: never renamed, never reused. The texts say what is
 * wrong and what to do, in Vietnamese and English, without personal data; a detail (a field's
 * name, a code point) follows them. Where a reason is stored it is by its number, its place in the
 * list: new ones are added at the end, and none goes. No longer given: KIND_NEEDS_APPROVAL,
 * SIGNER_CHANGED.
 */
#ifndef TRIEN_REASON_H
#define TRIEN_REASON_H

#include "base/hash.h"
#include "base/status.h"

#define REASONS(R) \
	R(NONE, ST_OK, "", "") \
	R(MALFORMED, ST_INVALID, "Thông điệp không đúng định dạng", "The message is malformed") \
	R(TOO_LARGE, ST_TOO_LARGE, \
	  "Hồ sơ vượt quá giới hạn kích thước", \
	  "The case exceeds a size limit") \
	R(CASE_CODE_INVALID, ST_INVALID, \
	  "Mã hồ sơ trống hoặc sai dạng", \
	  "The case code is empty or malformed") \
	R(UNIT_UNKNOWN, ST_NOT_FOUND, \
	  "Không có cơ quan này trong danh mục tại ngày ban hành", \
	  "The agency is not in the catalogue on this date") \
	R(UNIT_DENIED, ST_DENIED, \
	  "Hệ thống gửi không được phép ban hành cho cơ quan này", \
	  "The sender may not issue for this agency") \
	R(KIND_UNKNOWN, ST_NOT_FOUND, "Không có loại kết quả này", "The document kind is unknown") \
	R(KIND_NOT_EFFECTIVE, ST_PRECONDITION, \
	  "Loại kết quả chưa hoặc không còn hiệu lực", \
	  "The document kind is not in effect on this date") \
	R(KIND_NEEDS_APPROVAL, ST_PRECONDITION, \
	  "Loại kết quả này được cấp số khi người ký xác nhận trong phiên ký", \
	  "This kind is numbered when its signer confirms in a signing session") \
	R(SIGNER_UNKNOWN, ST_NOT_FOUND, \
	  "Không có người ký này tại ngày ban hành", \
	  "The signer is not in the catalogue on this date") \
	R(SIGNER_NOT_ALLOWED, ST_DENIED, \
	  "Người ký không có thẩm quyền ký loại kết quả này của cơ quan", \
	  "The signer has no authority for this kind of this agency") \
	R(FIELD_MISSING, ST_INVALID, "Thiếu trường bắt buộc", "A required field is missing") \
	R(FIELD_UNKNOWN, ST_INVALID, \
	  "Trường không có trong lược đồ", \
	  "The field is not in the schema") \
	R(FIELD_DUPLICATE, ST_INVALID, "Trường lặp lại", "The field occurs twice") \
	R(FIELD_TYPE, ST_INVALID, \
	  "Kiểu giá trị không đúng với lược đồ", \
	  "The value's type is not the schema's") \
	R(FIELD_TOO_LONG, ST_INVALID, "Giá trị dài quá giới hạn", "The value is too long") \
	R(FIELD_VALUE, ST_INVALID, "Giá trị không hợp lệ", "The value is not allowed") \
	R(DATE_INVALID, ST_INVALID, "Ngày tháng không hợp lệ", "The date is invalid") \
	R(UTF8_INVALID, ST_INVALID, \
	  "Văn bản không phải UTF-8 hợp lệ", \
	  "The text is not valid UTF-8") \
	R(CHARACTER_REFUSED, ST_INVALID, \
	  "Ký tự điều khiển hoặc đảo chiều không được phép", \
	  "A control or bidi character is refused") \
	R(GLYPH_MISSING, ST_INVALID, \
	  "Phông chữ không có ký tự này", \
	  "The font lacks this character") \
	R(HOLDER_INVALID, ST_INVALID, \
	  "Thông tin chủ sở hữu kết quả không hợp lệ", \
	  "A holder is invalid") \
	R(HOLDER_MISSING, ST_INVALID, \
	  "Kết quả phải có ít nhất một chủ sở hữu", \
	  "A case needs at least one holder") \
	R(RESULT_MISSING, ST_INVALID, \
	  "Hồ sơ phải có ít nhất một kết quả", \
	  "A case needs at least one result") \
	R(RESULT_DUPLICATE, ST_INVALID, \
	  "Hai kết quả trùng khóa trong một hồ sơ", \
	  "Two results of the case share a key") \
	R(REPLACES_UNKNOWN, ST_NOT_FOUND, \
	  "Không tìm thấy kết quả được thay thế", \
	  "The result to be replaced is not known") \
	R(REPLACES_NOT_STORED, ST_AGAIN, \
	  "Kết quả được thay thế đang xử lý, hãy gửi lại sau", \
	  "The result to be replaced is still in progress; send again") \
	R(REPLACES_MISMATCH, ST_PRECONDITION, \
	  "Kết quả không được thay thế như vậy: khác loại, khác cơ quan, sai số lần thay thế " \
	  "hoặc đã được thay thế", \
	  "The result cannot be replaced in this way") \
	R(CASE_CONTENT_CONFLICT, ST_CONFLICT, \
	  "Khóa kết quả đã có với nội dung khác", \
	  "The result key exists with other content") \
	R(NUMBER_GIVEN_MISSING, ST_INVALID, \
	  "Loại kết quả này cần số do hồ sơ cung cấp", \
	  "This kind takes its number from the case") \
	R(NUMBER_GIVEN_REFUSED, ST_INVALID, \
	  "Loại kết quả này do hệ thống cấp số", \
	  "This kind is numbered by the engine") \
	R(NUMBER_TAKEN, ST_CONFLICT, \
	  "Số này đã có trong sổ", \
	  "The number is already in the register") \
	R(REGISTER_NOT_OPEN, ST_PRECONDITION, \
	  "Sổ đăng ký chưa được mở cho năm này", \
	  "The register is not open for this year") \
	R(CLOCK_STEP, ST_UNAVAILABLE, \
	  "Đồng hồ máy chủ lùi quá giới hạn, tạm dừng cấp số", \
	  "The server's clock stepped back; numbering is stopped") \
	R(JOURNAL_FULL, ST_FULL, \
	  "Hàng đợi lưu trữ đầy, hãy gửi lại sau", \
	  "The journal is full; send again later") \
	R(BUSY, ST_FULL, \
	  "Máy chủ đang quá tải, hãy gửi lại sau", \
	  "The engine is at its limit; send again later") \
	R(MIRROR_AWAY, ST_UNAVAILABLE, \
	  "Bản sao nhật ký không trả lời, hãy gửi lại sau", \
	  "The journal's mirror does not answer; send again later") \
	R(STOPPING, ST_UNAVAILABLE, \
	  "Máy chủ đang dừng, hãy gửi lại sau", \
	  "The engine is stopping; send again later") \
	R(STORE_BEHIND, ST_UNAVAILABLE, \
	  "Sổ chưa đối chiếu được với kho, tạm dừng cấp số", \
	  "Registers are not reconciled with the store; numbering is stopped") \
	R(UNIT_ELSEWHERE, ST_PRECONDITION, \
	  "Cơ quan này thuộc một máy chủ ban hành khác", \
	  "Another engine issues for this agency") \
	R(KEY_MISSING, ST_PRECONDITION, \
	  "Chưa có khóa ký cho người ký hoặc cơ quan", \
	  "No signing key for this signer or agency") \
	R(CERT_EXPIRED, ST_PRECONDITION, "Chứng thư số hết hạn", "The certificate has expired") \
	R(CERT_NOT_YET_VALID, ST_PRECONDITION, \
	  "Chứng thư số chưa có hiệu lực", \
	  "The certificate is not yet valid") \
	R(CERT_REVOKED, ST_PRECONDITION, \
	  "Chứng thư số đã bị thu hồi", \
	  "The certificate is revoked") \
	R(CERT_WRONG_UNIT, ST_PRECONDITION, \
	  "Chứng thư số không thuộc cơ quan này", \
	  "The certificate belongs to another agency") \
	R(CRL_STALE, ST_UNAVAILABLE, \
	  "Danh sách thu hồi (CRL) thiếu hoặc quá cũ", \
	  "The revocation list is missing or stale") \
	R(SIGNATURE_WRONG, ST_INTERNAL, \
	  "Chữ ký tạo ra không kiểm tra được bằng chứng thư số", \
	  "The signature made does not verify with the certificate") \
	R(SIGNER_REFUSED, ST_PRECONDITION, \
	  "Tiến trình ký từ chối theo chính sách khóa", \
	  "The signer process refused by key policy") \
	R(SIGNER_AWAY, ST_UNAVAILABLE, \
	  "Tiến trình ký không trả lời", \
	  "The signer process does not answer") \
	R(RENDER_FAILED, ST_INTERNAL, \
	  "Không dựng được văn bản", \
	  "The document could not be rendered") \
	R(STORE_CONFLICT, ST_DAMAGED, \
	  "Kho đã có kết quả khác với cùng mã", \
	  "The store holds another result under the same id") \
	R(STORE_REFUSED, ST_INTERNAL, \
	  "Kho từ chối ghi kết quả này", \
	  "The store refuses to take this result") \
	R(NOT_WAITING, ST_PRECONDITION, \
	  "Kết quả không còn chờ duyệt", \
	  "The result does not wait for approval any more") \
	R(OWN_DRAFT, ST_DENIED, \
	  "Người trình không được tự duyệt", \
	  "Who submitted a draft may not approve it") \
	R(DELEGATION_ENDED, ST_PRECONDITION, \
	  "Ủy quyền, giao ký thay đã hết hạn hoặc chưa có hiệu lực", \
	  "The delegation that the signer acts on is not in force on this date") \
	R(SIGNER_CHANGED, ST_PRECONDITION, \
	  "Họ tên, chức vụ hoặc thẩm quyền ký đã khác với văn bản trình ký", \
	  "The document would print a signer's title or authority that is not today's") \
	R(DOCUMENT_CHANGED, ST_PRECONDITION, \
	  "Văn bản không còn giống bản đã trình trong phiên ký", \
	  "The document is not what the session's manifest shows") \
	R(SIGNATURE_OUTDATED, ST_INTERNAL, \
	  "Văn bản dựng lại không giống bản mà chữ ký đã nhận được tạo cho", \
	  "The document is drawn differently than when the signature that came was made") \
	R(SIGNATURE_REFUSED, ST_PRECONDITION, \
	  "Người ký hoặc dịch vụ ký số từ xa từ chối ký", \
	  "The person or the remote signing service refused to sign") \
	R(SIGNATURE_NOT_GIVEN, ST_PRECONDITION, \
	  "Chữ ký được chờ đã không đến, nay không chờ nữa", \
	  "The signature that was awaited did not come, and is not waited for any more") \
	R(OBJECT_MISSING, ST_DAMAGED, \
	  "Tệp bản chính được sao không còn hoặc đã hỏng trên máy chủ", \
	  "The original that is copied is missing or damaged on the server") \
	R(ORIGINAL_MISSING, ST_INVALID, \
	  "Loại kết quả này là bản sao, phải gửi cùng bản chính", \
	  "This kind is a copy: it is issued by CertifyCopy or IssueCopy") \
	R(ORIGINAL_DIFFERS, ST_INVALID, \
	  "Tệp nhận được không khớp dung lượng hoặc mã băm SHA-256 đã khai, hãy gửi lại", \
	  "What came has not the length or SHA-256 that was declared; send it again") \
	R(ORIGINAL_NOT_KEPT, ST_UNAVAILABLE, \
	  "Chưa lưu được bản chính, hãy gửi lại sau", \
	  "The original cannot be kept now (disk or store); send again later") \
	R(KIND_COPIES_OTHER, ST_INVALID, \
	  "Loại kết quả này không phải là bản sao thuộc thủ tục được gọi", \
	  "The kind is none that this call makes copies of") \
	R(COPY_NOT_ALONE, ST_INVALID, \
	  "Hồ sơ chứng thực bản sao chỉ có một kết quả", \
	  "A copy's case has exactly one result") \
	R(ORIGINAL_EMPTY, ST_INVALID, "Bản chính không có nội dung", "The original is empty") \
	R(ORIGINAL_FORMAT, ST_INVALID, \
	  "Bản chính không phải tệp JPEG, PNG hoặc PDF thuộc dạng đọc được", \
	  "The original is no JPEG, PNG or PDF of a form that can be read") \
	R(ORIGINAL_DAMAGED, ST_INVALID, \
	  "Tệp bản chính bị hỏng hoặc không đầy đủ, hãy quét hoặc xuất lại", \
	  "The original's file is damaged or not complete; scan or export it again") \
	R(ORIGINAL_ENCRYPTED, ST_INVALID, \
	  "Tệp bản chính được đặt mật khẩu hoặc mã hóa, hãy gửi tệp không bảo vệ", \
	  "The original is encrypted; send a file without protection") \
	R(ORIGINAL_ACTIVE, ST_INVALID, \
	  "Bản chính chứa biểu mẫu XFA, JavaScript hoặc lệnh mở chương trình", \
	  "The original contains an XFA form, JavaScript or an action that launches a program") \
	R(ORIGINAL_HYBRID, ST_INVALID, \
	  "Tệp PDF có hai bảng tham chiếu khác nhau, mỗi chương trình có thể hiện khác, " \
	  "hãy xuất lại", \
	  "The PDF has two cross-reference tables (hybrid), programs may show it differently; " \
	  "export it again") \
	R(ORIGINAL_JUNK, ST_INVALID, \
	  "Tệp bản chính có dữ liệu lạ trước phần đầu của PDF", \
	  "The original has other data before the PDF's header") \
	R(ORIGINAL_TOO_LARGE, ST_TOO_LARGE, \
	  "Bản chính vượt quá giới hạn về dung lượng, số điểm ảnh hoặc số trang", \
	  "The original exceeds a limit of bytes, pixels or pages") \
	R(ORIGINAL_TIMEOUT, ST_INVALID, \
	  "Bản chính quá phức tạp, không đọc xong trong giới hạn thời gian và bộ nhớ", \
	  "The original could not be read within the limits of time and memory") \
	R(ORIGINAL_READER_AWAY, ST_UNAVAILABLE, \
	  "Tiến trình đọc bản chính chưa trả lời, hãy gửi lại sau", \
	  "The process that reads originals does not answer; send again") \
	R(COPY_UNTRUE, ST_INVALID, \
	  "Khác với kết quả trong sổ gốc; hãy bỏ trống, hệ thống tự ghi theo sổ gốc", \
	  "Not what the register says of the result that is copied; leave it out: " \
	  "the engine writes what the register says") \
	R(COPY_OF_INVALID, ST_PRECONDITION, \
	  "Kết quả đã bị thay thế hoặc thu hồi, không cấp bản sao", \
	  "The result was replaced or revoked; no copies of it are issued") \
	R(STORE_AWAY, ST_UNAVAILABLE, \
	  "Hiện chưa đọc được kho kết quả, hãy gửi lại sau", \
	  "The store cannot be read just now; send again later") \
	R(COPY_OUTDATED, ST_PRECONDITION, \
	  "Kết quả đã được đính chính sau khi lập bản sao này; hãy từ chối hoặc hủy số, " \
	  "rồi lập lại bản sao", \
	  "The result was corrected after this copy was drawn up; refuse or void it, and have " \
	  "another made")

enum reason {
#define REASON_ENUM(name, status, vi, en) REASON_##name,
	REASONS(REASON_ENUM)
#undef REASON_ENUM
	REASON_COUNT
};

struct reason_text { const char *name; enum status status; const char *vi, *en; };
/* Static storage; an unknown number gives REASON_NONE's. */
const struct reason_text *reason_text(enum reason r);
/* By its name; REASON_NONE: there is none like it. */
enum reason reason_named(const char *name);

/* One refusal of one case. field: AIP path below the case, e.g. `results[0].fields.ho_ten`. */
struct refusal {
	enum reason reason;
	char field[120];
	char detail[120];	/* what exactly, language-neutral: a code, a limit, "U+202E" */
	uint8_t digest_stored[SHA256_BYTES], digest_given[SHA256_BYTES]; /* CASE_CONTENT_CONFLICT */
};

enum status refuse(struct refusal *r, enum reason why, const char *field, const char *fmt, ...)
	printf_like(4, 5);

#endif
