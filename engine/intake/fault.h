/*
 * fault.h - why a whole call fails, as google.rpc.Status with ErrorInfo, BadRequest,
 * LocalizedMessage and RetryInfo (AIP-193). Reasons are stable; texts hold no personal data (P9).
 */
#ifndef TRIEN_INTAKE_FAULT_H
#define TRIEN_INTAKE_FAULT_H

#include <grpc/status.h>

#include "base/bytes.h"
#include "reason.h"

#define FAULTS(F) \
	F(UNAUTHENTICATED, UNAUTHENTICATED, \
	  "Không xác định được bên gọi", "the caller cannot be identified") \
	F(PRINCIPAL_UNKNOWN, PERMISSION_DENIED, \
	  "Bên gọi không có trong danh sách được phép", "the caller is not among the principals") \
	F(ROLE_MISSING, PERMISSION_DENIED, \
	  "Bên gọi không có vai trò cần thiết", "the caller lacks the role for this call") \
	F(UNIT_DENIED, PERMISSION_DENIED, \
	  "Bên gọi không được thao tác với cơ quan này", "the caller may not act for this agency") \
	F(QUOTA_EXCEEDED, RESOURCE_EXHAUSTED, \
	  "Vượt hạn mức gửi hồ sơ", "the caller's quota is used up; send again later") \
	F(SESSIONS_SHARE, RESOURCE_EXHAUSTED, \
	  "Bên gọi đã mở đủ số phiên ký hoặc số văn bản trong phiên; hãy xác nhận hoặc hủy bớt", \
	  "the caller has as many open sessions, or documents in them, as one may have; confirm " \
	  "or cancel some") \
	F(BUSY, RESOURCE_EXHAUSTED, \
	  "Máy chủ đang quá tải, hãy gửi lại sau", "the engine is at its limit; send again later") \
	F(STOPPING, UNAVAILABLE, \
	  "Máy chủ đang dừng, hãy gửi lại sau", "the engine is stopping; send again later") \
	F(MALFORMED, INVALID_ARGUMENT, \
	  "Thông điệp không đúng định dạng", "the message is malformed") \
	F(TOO_MANY, INVALID_ARGUMENT, \
	  "Quá nhiều phần tử trong một yêu cầu", "too many entries in one request") \
	F(ARGUMENT_MISSING, INVALID_ARGUMENT, \
	  "Thiếu tham số bắt buộc", "a required argument is missing") \
	F(ARGUMENT_INVALID, INVALID_ARGUMENT, \
	  "Tham số không hợp lệ", "an argument is not valid") \
	F(PAGE_TOKEN_INVALID, INVALID_ARGUMENT, \
	  "Mã trang không hợp lệ", "the page token is not one of this list") \
	F(RESULT_NOT_FOUND, NOT_FOUND, \
	  "Không tìm thấy kết quả", "there is no such result") \
	F(ETAG_STALE, ABORTED, \
	  "Kết quả đã thay đổi, hãy đọc lại", \
	  "the etag is not the result's (any more); read it again") \
	F(RESULT_ENDED, FAILED_PRECONDITION, \
	  "Kết quả đã bị thu hồi, đã được thay thế hoặc không nhận thêm thao tác này", \
	  "the result is revoked or replaced, or its life forbids this act") \
	F(CASE_NOT_FOUND, NOT_FOUND, \
	  "Không tìm thấy hồ sơ", "there is no such case") \
	F(OBJECT_NOT_FOUND, NOT_FOUND, \
	  "Kết quả không dựa trên dữ liệu này", "the result rests on no such object") \
	F(RESULT_NOT_STORED, FAILED_PRECONDITION, \
	  "Kết quả không có trong kho", "the result is not in the store") \
	F(HOLDER_NOT_FOUND, NOT_FOUND, \
	  "Kết quả không phải của người này", "the result is not this holder's") \
	F(SHARE_NOT_FOUND, NOT_FOUND, \
	  "Đường dẫn hoặc mã chia sẻ không đúng", "there is no such share") \
	F(SHARE_EXPIRED, FAILED_PRECONDITION, \
	  "Chia sẻ đã hết hạn", "the share's time is over") \
	F(SHARE_USED_UP, FAILED_PRECONDITION, \
	  "Chia sẻ đã hết lượt xem", "the share was used as often as it may be") \
	F(SHARE_REVOKED, FAILED_PRECONDITION, \
	  "Người chia sẻ đã hủy chia sẻ này", "its holder revoked the share") \
	F(SHARE_TRIED_OUT, FAILED_PRECONDITION, \
	  "Mã này không còn dùng được vì mã sai bị nhập quá nhiều lần", \
	  "wrong codes were tried too often; this one is over") \
	F(SHARE_SCOPE, FAILED_PRECONDITION, \
	  "Chia sẻ này không gồm tệp kết quả", "the share does not show the file") \
	F(SHARE_RESTS, FAILED_PRECONDITION, \
	  "Hiện không xem được kết quả này qua chia sẻ", \
	  "the result is not its holder's, is hidden or restricted: shares of it rest") \
	F(SHARES_TOO_MANY, FAILED_PRECONDITION, \
	  "Kết quả này đã được chia sẻ quá nhiều lần", \
	  "the result was shared too often") \
	F(REGISTER_NOT_FOUND, NOT_FOUND, \
	  "Không có sổ đăng ký này", "there is no such register") \
	F(REGISTER_INCOMPLETE, FAILED_PRECONDITION, \
	  "Sổ còn số chưa kết thúc hoặc không đầy đủ", \
	  "a number of the register has come to no end, or is missing") \
	F(NUMBER_STANDS, FAILED_PRECONDITION, \
	  "Số này đang có trong sổ hoặc đang được xử lý", \
	  "the number stands in the book, or is on its way there") \
	F(HELD_NOT_FOUND, NOT_FOUND, \
	  "Không có kết quả đang tạm giữ này", "no such result is held") \
	F(SIGNER_DENIED, PERMISSION_DENIED, \
	  "Bên gọi không được thao tác thay người ký này", \
	  "the caller may not act as this signer") \
	F(RESULT_NOT_WAITING, FAILED_PRECONDITION, \
	  "Kết quả không chờ người ký này duyệt", \
	  "the result does not wait for this signer (any more)") \
	F(SESSION_NOT_FOUND, NOT_FOUND, \
	  "Không có phiên ký này", "there is no such session") \
	F(SESSION_NOT_OPEN, FAILED_PRECONDITION, \
	  "Phiên ký không còn mở", "the session is not open any more") \
	F(SESSION_NOT_CONFIRMED, FAILED_PRECONDITION, \
	  "Phiên ký chưa được xác nhận", "the session was not confirmed") \
	F(SESSION_CONFIRMING, UNAVAILABLE, \
	  "Phiên ký đang được ghi nhận, hãy hỏi lại", \
	  "the confirmation is being written; ask again") \
	F(MANIFEST_DIFFERS, FAILED_PRECONDITION, \
	  "Mã băm không phải của danh sách trong phiên ký", \
	  "the hash is not that of the session's manifest") \
	F(FILE_DAMAGED, DATA_LOSS, \
	  "Tệp lưu trữ không khớp mã kiểm tra nên không được cung cấp", \
	  "the stored bytes do not match their checksum and are not served") \
	F(STORE_AWAY, UNAVAILABLE, \
	  "Kho dữ liệu tạm thời không truy cập được", \
	  "the store does not answer; ask again later") \
	F(WATCH_TOO_SLOW, ABORTED, \
	  "Bên theo dõi nhận quá chậm, hãy theo dõi lại", "the watcher was too slow; watch again") \
	F(SERVICE_UNKNOWN, NOT_FOUND, \
	  "Không có dịch vụ này", "there is no such service") \
	F(METHOD_UNKNOWN, UNIMPLEMENTED, \
	  "Không có phương thức này", "there is no such method") \
	F(DEADLINE_PASSED, DEADLINE_EXCEEDED, \
	  "Quá thời hạn của bên gọi", "the caller's deadline has passed") \
	F(SEQUENCE_BROKEN, INVALID_ARGUMENT, \
	  "client_seq không tăng liên tục", "client_seq does not rise by one") \
	F(COPIES_NOT_MADE, FAILED_PRECONDITION, \
	  "Máy chủ này không cấp bản sao: có máy dự phòng mà kho dữ liệu chỉ nằm tại chỗ", \
	  "this engine makes no copies: it has a mirror, and its store is the embedded one") \
	F(COPY_NOT_OURS, PERMISSION_DENIED, \
	  "Chỉ cơ quan đang giữ sổ gốc được cấp bản sao từ sổ gốc", \
	  "only the agency that keeps the register issues copies from it") \
	F(COPY_OF_COPY, FAILED_PRECONDITION, \
	  "Kết quả này là bản sao, không phải bản gốc trong sổ", \
	  "the result is a copy itself, not an original of a register") \
	F(UPLOAD_TOO_SLOW, ABORTED, \
	  "Bên gửi tải bản chính lên quá chậm, hãy gửi lại", \
	  "the original came too slowly; send it again") \
	F(INTERNAL, INTERNAL, \
	  "Lỗi nội bộ", "an internal error; see the engine's log")

enum fault_kind {
#define FAULT_ENUM(name, code, vi, en) FAULT_##name,
	FAULTS(FAULT_ENUM)
#undef FAULT_ENUM
	FAULT_COUNT
};

struct fault {
	grpc_status_code code;
	const char *reason;
	const char *vi, *en;
	char field[160];		/* path in the request; "": none */
	char detail[160];
	uint32_t retry_ms;		/* 0: no RetryInfo */
	bool owner;			/* UNIT_ELSEWHERE: `detail` stands in the metadata */
	bool digests;			/* CASE_CONTENT_CONFLICT: both stand in the metadata */
	uint8_t digest_stored[SHA256_BYTES], digest_given[SHA256_BYTES];
};

/* field and fmt may be "". BUSY, STOPPING, STORE_AWAY say when to try again by themselves. */
void fault_set(struct fault *f, enum fault_kind kind, const char *field, const char *fmt, ...)
	printf_like(4, 5);
/* A refused case; prefix: where it stands in the request ("case."). */
void fault_refusal(struct fault *f, const struct refusal *r, const char *prefix);
/* An act that failed: status and error text; vi is borrowed, "": said in general only. */
void fault_status(struct fault *f, enum status st, const char *vi, const char *text);
grpc_status_code fault_code(enum status st);

/* "the message: detail" for grpc-message, and the encoded google.rpc.Status. */
void fault_message(const struct fault *f, char *out, size_t size);
#define FAULT_BYTES_MAX 2048
size_t fault_encode(const struct fault *f, uint8_t out[FAULT_BYTES_MAX]);

#endif
