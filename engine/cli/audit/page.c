#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit/audit.h"
#include "cli/audit/plot.h"

#define DAYS_SHOWN 62
#define ROWS_SHOWN 1000			/* of findings, in print; the JSON has them all */
#define BOOKS_SHOWN 40

static const char head[] =
	"<!doctype html>\n<html lang=\"vi\"><head><meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<title>Báo cáo kiểm toán kết quả điện tử – Audit report</title>\n<style>\n"
	"body{font:16px/1.5 system-ui,\"Noto Sans\",sans-serif;color:#1b1b1b;background:#fff;"
	"max-width:60rem;margin:0 auto;padding:1rem}\n"
	"h1{font-size:1.6rem;margin:0 0 .3rem;color:#8f1219}h2{font-size:1.15rem;"
	"margin:2rem 0 .4rem}small,.en{color:#555;font-weight:normal}\n"
	"table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;"
	"padding:.25rem .5rem;border-bottom:1px solid #ccc;vertical-align:top;"
	"overflow-wrap:anywhere}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
	"svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:#333}"
	"svg line{stroke:#ddd}.p0{fill:#8f1219}.p1{fill:#c98a1b}.p2{fill:#3c5a78}\n"
	".key span{display:inline-block;width:.8rem;height:.8rem;margin:0 .3rem 0 1rem}"
	".k0{background:#8f1219}.k1{background:#c98a1b}.k2{background:#3c5a78}\n"
	".sum{font-size:1.2rem;padding:.6rem .8rem;border-left:.4rem solid}.good{"
	"border-color:#1b7a3d;background:#eef7f0}.bad{border-color:#8f1219;background:#fbeeee}\n"
	"@media print{body{max-width:none;padding:0;font-size:11px}h2{break-after:avoid}"
	"svg,tr{break-inside:avoid}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n"
	"</style></head><body>\n";

static uint64_t number(const json_t *o, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(o, name));
}

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "";
}

static void title(FILE *out, const char *vi, const char *en)
{
	fprintf(out, "<h2>%s <small lang=\"en\">– %s</small></h2>\n", vi, en);
}

static void nothing(FILE *out)
{
	fputs("<p>Không có. <small lang=\"en\">None.</small></p>\n", out);
}

/* ---- days, or months where there are too many ---- */

static void day_label(char out[48], uint32_t period, bool months)
{
	if (months)
		snprintf(out, 48, "%02u/%u", period % 100, period / 100);
	else
		snprintf(out, 48, "%02u/%02u/%u", period % 100, period / 100 % 100,
			 period / 10000);
}

/* rows: by day. names[k] is added to part k, names[k] NULL: nothing. The newest are shown. */
static uint32_t days_of(struct plot_bar bars[PLOT_BARS_MAX], const json_t *rows,
			const char *const names[][2])
{
	bool months = json_array_size(rows) > DAYS_SHOWN;
	uint32_t n = 0, period = 0;
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row) {
		uint32_t day = (uint32_t)number(row, "day"), now = months ? day / 100 : day;

		if (n == 0 || now != period) {
			if (n == PLOT_BARS_MAX)
				memmove(bars, bars + 1, --n * sizeof(*bars));
			memset(&bars[n], 0, sizeof(bars[n]));
			day_label(bars[n++].label, now, months);
			period = now;
		}
		for (int k = 0; k < PLOT_PARTS_MAX; k++)
			for (int j = 0; j < 2; j++)
				if (names[k][j] != NULL)
					bars[n - 1].parts[k] += number(row, names[k][j]);
	}
	return n;
}

static void issued(FILE *out, const json_t *report)
{
	static const char *const names[PLOT_PARTS_MAX][2] = { { "results" } };
	struct plot_bar bars[PLOT_BARS_MAX];
	uint32_t n = days_of(bars, json_object_get(report, "issued"), names);

	title(out, "Số kết quả đã kiểm tra theo ngày ban hành",
	      "results looked at, by day of issue");
	if (n == 0)
		nothing(out);
	else
		plot_bars(out, "Số kết quả theo ngày ban hành", bars, n);
}

static void on_time(FILE *out, const json_t *report)
{
	static const char *const names[PLOT_PARTS_MAX][2] = { { "early", "on_time" }, { "late" } };
	struct plot_bar bars[PLOT_BARS_MAX];
	const json_t *rows = json_object_get(report, "onTime");
	uint32_t n = days_of(bars, rows, names);
	uint64_t in_time = 0, late = 0;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		in_time += number(row, "early") + number(row, "on_time");
		late += number(row, "late");
	}
	title(out, "Tỷ lệ đúng hạn", "on-time rate, of results that had a due date");
	if (in_time + late == 0) {
		nothing(out);
		return;
	}
	fprintf(out, "<p>Trước và đúng hạn <b>%" PRIu64 "</b>, quá hạn <b>%" PRIu64 "</b>: "
		"<b>%.1f %%</b></p>\n", in_time, late,
		100.0 * (double)in_time / (double)(in_time + late));
	plot_rates(out, "Tỷ lệ đúng hạn theo ngày", bars, n);
}

/* ---- registers ---- */

static void register_row(FILE *out, const json_t *r)
{
	fputs("<tr><td>", out);
	html_text(out, text(r, "unit"));
	fputs("</td><td>", out);
	html_text(out, text(r, "code"));
	fprintf(out, "</td><td>%" PRIu64 "</td><td class=\"n\">%" PRIu64 "–%" PRIu64
		"</td><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64
		"</td><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64
		"</td><td>%s</td></tr>\n", number(r, "year"), number(r, "first"),
		number(r, "last"), number(r, "issued"), number(r, "pending"), number(r, "void"),
		number(r, "outside"), number(r, "findings") == 0 ? "đủ, liên tục" :
		"<b>không đủ</b>");
}

/* What could not be said of them. */
static void unasked(FILE *out, const json_t *books)
{
	json_t *book;
	size_t i;

	if (json_array_size(books) == 0)
		return;
	fputs("<p>Không hỏi được hệ thống cấp số về các sổ sau, nên số đang chờ và số bị mất không "
	      "phân biệt được, và số mở sổ chỉ biết theo số nhỏ nhất còn lưu. <small "
	      "lang=\"en\">Of these no engine was asked: pending and lost numbers look alike, and "
	      "numbers lost before the lowest one are not seen.</small> ", out);
	json_array_foreach(books, i, book) {
		fputs(i > 0 ? "; " : "", out);
		html_text(out, json_string_value(book));
	}
	fputs("</p>\n", out);
}

static void registers(FILE *out, const json_t *report)
{
	const json_t *rows = json_object_get(report, "registers");
	struct plot_bar bars[BOOKS_SHOWN] = { 0 };
	uint32_t n = 0;
	json_t *row;
	size_t i;

	title(out, "Sổ đăng ký", "official registers: complete, unique, in order");
	if (json_array_size(rows) == 0) {
		nothing(out);
		return;
	}
	json_array_foreach(rows, i, row) {
		if (n == BOOKS_SHOWN)
			break;
		snprintf(bars[n].label, sizeof(bars[n].label), "%.24s %.12s %" PRIu64,
			 text(row, "unit"), text(row, "code"), number(row, "year"));
		bars[n].parts[0] = number(row, "issued");
		bars[n].parts[1] = number(row, "void");
		bars[n++].parts[2] = number(row, "outside");
	}
	fputs("<p class=\"key\"><span class=\"k0\"></span>ban hành<span class=\"k1\"></span>hủy số"
	      "<span class=\"k2\"></span>dùng ngoài hệ thống</p>\n", out);
	plot_lines(out, "Số theo sổ đăng ký", bars, n);
	fputs("<table><thead><tr><th>Cơ quan</th><th>Sổ</th><th>Năm</th><th class=\"n\">Từ–đến</th>"
	      "<th class=\"n\">Ban hành</th><th class=\"n\">Chờ</th><th class=\"n\">Hủy</th>"
	      "<th class=\"n\">Ngoài</th><th>Kết luận</th></tr></thead><tbody>\n", out);
	json_array_foreach(rows, i, row)
		register_row(out, row);
	fputs("</tbody></table>\n", out);
	unasked(out, json_object_get(json_object_get(report, "ran"), "registersUnasked"));
}

/* ---- what was found ---- */

static void faults(FILE *out, const json_t *report)
{
	const json_t *rows = json_object_get(report, "faults");
	struct plot_bar bars[AUDIT_FAULTS] = { 0 };
	uint32_t n = 0;
	json_t *row;
	size_t i;

	title(out, "Sai lệch theo loại", "findings by kind");
	if (json_array_size(rows) == 0) {
		nothing(out);
		return;
	}
	json_array_foreach(rows, i, row) {
		snprintf(bars[n].label, sizeof(bars[n].label), "%.44s", text(row, "vi"));
		bars[n++].parts[0] = number(row, "findings");
	}
	plot_lines(out, "Sai lệch theo loại", bars, n);
}

static void finding(FILE *out, const json_t *f)
{
	static const char *const columns[] = { "result", "what", "todo" };
	enum audit_fault fault = audit_kind_by_name(text(f, "fault"));

	fprintf(out, "<tr><td>%s<br><small lang=\"en\">%s</small></td>",
		fault < AUDIT_FAULTS ? audit_kind(fault)->vi : "", text(f, "fault"));
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		fputs("<td>", out);
		if (i == 0 && text(f, "result")[0] == '\0' && number(f, "sequence") != 0)
			fprintf(out, "#%" PRIu64, number(f, "sequence"));
		html_text(out, text(f, columns[i]));
		fputs("</td>", out);
	}
	fputs("</tr>\n", out);
}

static void findings(FILE *out, const json_t *report)
{
	const json_t *rows = json_object_get(report, "findings");
	uint64_t all = number(report, "findingsCount");
	json_t *row;
	size_t i;

	title(out, "Chi tiết", "findings one by one, and what to do");
	if (json_array_size(rows) == 0) {
		nothing(out);
		return;
	}
	fputs("<table><thead><tr><th>Loại</th><th>Mã kết quả</th><th>Nội dung</th><th>Việc cần làm"
	      "</th></tr></thead><tbody>\n", out);
	json_array_foreach(rows, i, row) {
		if (i == ROWS_SHOWN)
			break;
		finding(out, row);
	}
	fputs("</tbody></table>\n", out);
	if (all > ROWS_SHOWN)
		fprintf(out, "<p>… và %" PRIu64 " sai lệch khác. <small lang=\"en\">And more."
			"</small></p>\n", all - ROWS_SHOWN);
}

static void summary(FILE *out, const json_t *report)
{
	const json_t *results = json_object_get(report, "results");
	const json_t *scope = json_object_get(report, "scope");
	const json_t *ran = json_object_get(report, "ran");
	uint64_t found = number(report, "findingsCount");
	bool whole = json_is_true(json_object_get(report, "whole"));
	char from[48] = "…", to[48] = "…";

	if (number(scope, "fromDay") != 0)
		day_label(from, (uint32_t)number(scope, "fromDay"), false);
	if (number(scope, "toDay") != 0)
		day_label(to, (uint32_t)number(scope, "toDay"), false);
	fputs("<h1>Báo cáo kiểm toán kết quả điện tử</h1>\n"
	      "<p class=\"en\" lang=\"en\">Audit of the electronic results in a store</p>\n", out);
	fprintf(out, "<p class=\"sum %s\">%s</p>\n<table><tbody>\n", found == 0 && whole ? "good" :
		"bad", found > 0 ? "Có sai lệch cần xử lý. <small lang=\"en\">There are findings."
		"</small>" : whole ?
		"Không phát hiện sai lệch. <small lang=\"en\">All good.</small>" :
		"Chưa kiểm tra hết. <small lang=\"en\">Not all was looked at.</small>");
	fprintf(out, "<tr><th>Kết quả đã kiểm tra <small lang=\"en\">looked at</small></th>"
		"<td class=\"n\" id=\"looked\">%" PRIu64 "</td></tr>\n"
		"<tr><th>Đạt <small lang=\"en\">good</small></th>"
		"<td class=\"n\" id=\"good\">%" PRIu64
		"</td></tr>\n<tr><th>Sai lệch <small lang=\"en\">findings</small></th>"
		"<td class=\"n\" id=\"findings\">%" PRIu64 "</td></tr>\n"
		"<tr><th>Dung lượng <small lang=\"en\">bytes read</small></th>"
		"<td class=\"n\" id=\"bytes\">%" PRIu64 "</td></tr>\n"
		"<tr><th>Khóa ký bị thu hồi sau khi ký, bằng chứng lưu kèm hợp lệ <small "
		"lang=\"en\">key revoked since, good by the evidence kept</small></th>"
		"<td class=\"n\">%" PRIu64 "</td></tr>\n", number(results, "looked"),
		number(results, "good"), found, number(results, "bytes"),
		number(results, "revokedSince"));
	fprintf(out, "<tr><th>Kỳ <small lang=\"en\">period</small></th><td class=\"n\">%s – %s"
		"</td></tr>\n<tr><th>Mẫu <small lang=\"en\">sample</small></th><td class=\"n\">%s ",
		from, to, text(scope, "sample")[0] != '\0' ? text(scope, "sample") : "toàn bộ");
	/* With it the same results are looked at again. */
	html_text(out, text(scope, "seed"));
	fprintf(out, "</td></tr>\n<tr><th>Bắt đầu – kết thúc <small lang=\"en\">ran</small></th>"
		"<td class=\"n\">%s – %s</td></tr>\n</tbody></table>\n",
		text(ran, "begun"), text(ran, "ended"));
}

bool audit_page_write(FILE *out, const json_t *report)
{
	fputs(head, out);
	summary(out, report);
	issued(out, report);
	on_time(out, report);
	registers(out, report);
	faults(out, report);
	findings(out, report);
	fputs("</body></html>\n", out);
	return ferror(out) == 0;
}
