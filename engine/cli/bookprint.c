#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/calendar.h"
#include "catalogue/catalogue.h"
#include "cli/book.h"
#include "cli/bookcheck.h"
#include "config.h"
#include "io/file.h"
#include "render/ledger.h"
#include "render/words.h"

#define CELL_BYTES 4096		/* eight recipients with the longest names */
#define COLUMNS 8

/* ND 30/2020 annex IV, I.1: so dang ky van ban di. */
static const struct ledger_column outgoing[COLUMNS] = {
	{ "Số, ký hiệu văn bản", 150, 'l' },
	{ "Ngày tháng văn bản", 85, 'c' },
	{ "Tên loại và trích yếu nội dung văn bản", 210, 'l' },
	{ "Người ký", 125, 'l' },
	{ "Nơi nhận văn bản", 140, 'l' },
	{ "Đơn vị, người nhận bản lưu", 75, 'c' },
	{ "Số lượng bản", 50, 'c' },
	{ "Ghi chú", 165, 'l' },
};

/* TT 01/2020/TT-BTP: so chung thuc ban sao tu ban chinh. */
static const struct ledger_column certified[COLUMNS] = {
	{ "Số chứng thực", 140, 'l' },
	{ "Ngày, tháng, năm chứng thực", 85, 'c' },
	{ "Họ tên của người yêu cầu chứng thực", 150, 'l' },
	{ "Tên của bản chính giấy tờ, văn bản", 190, 'l' },
	{ "Họ tên, chức danh người ký chứng thực", 145, 'l' },
	{ "Số lượng bản sao", 60, 'c' },
	{ "Lệ phí, chi phí", 65, 'r' },
	{ "Ghi chú", 165, 'l' },
};

/*
 * A book on its way to paper. Entries are drawn as they come; the first one, or the form that was
 * asked for, says which form it is.
 */
struct printing {
	const struct register_options *o;
	const struct unit *unit;	/* NULL: not in the catalogue here */
	struct render *render;
	struct ledger *ledger;
	struct ledger_form form;
	struct bookcheck *check;
	bool certification, headed, closed;
	uint32_t year;
	uint64_t first;			/* the register's; 0: it counts elsewhere */
	uint32_t month;			/* of the last entry */
	struct book_sums sums;		/* of what is printed */
	char subtitle[400], running[400];
	char volume[100];		/* that the last entry stood in */
	struct register_end { int64_t at_ms; char actor[80], reason[410]; } end;
	Trien__V1__RegisterTotal total;
	bool totalled;
	enum status st;
	struct error e;
};

static void form_of(struct printing *p)
{
	const char *issuer = p->unit != NULL ? p->unit->name : p->o->unit;
	char period[48];

	if (p->o->month != 0)
		snprintf(period, sizeof(period), "tháng %02" PRIu64 " năm %u", p->o->month,
			 p->year);
	else
		snprintf(period, sizeof(period), "năm %u", p->year);
	snprintf(p->subtitle, sizeof(p->subtitle), "%c%s. Sổ: %s", period[0] - 'a' + 'A',
		 period + 1, p->o->code);
	p->form = (struct ledger_form){
		.superior = p->unit != NULL ? p->unit->superior : NULL,
		.issuer = p->unit != NULL ? p->unit->header : p->o->unit,
		.title = p->certification ? "SỔ CHỨNG THỰC BẢN SAO TỪ BẢN CHÍNH" :
		"SỔ ĐĂNG KÝ VĂN BẢN ĐI", .subtitle = p->subtitle, .running = p->running,
		.columns_n = COLUMNS, .columns = p->certification ? certified : outgoing };
	snprintf(p->running, sizeof(p->running), "%s %s, sổ %s - %s",
		 p->certification ? "Sổ chứng thực bản sao từ bản chính" : "Sổ đăng ký văn bản đi",
		 period, p->o->code, issuer);
	p->st = ledger_begin(&p->ledger, p->render, &p->form, &p->e);
}

static void head(void *ctx, const Trien__V1__Register *r)
{
	struct printing *p = ctx;

	p->headed = true;
	p->year = r->year;
	p->closed = r->closed;
	p->first = r->first;
	bookcheck_head(p->check, r);
	if (r->close_time != NULL)
		p->end.at_ms = r->close_time->seconds * 1000;
	snprintf(p->end.actor, sizeof(p->end.actor), "%s", r->closed_by);
	snprintf(p->end.reason, sizeof(p->end.reason), "%s", r->close_reason);
	p->totalled = r->total != NULL;
	if (p->totalled)
		p->total = *r->total;
}

/* ---- one entry ---- */

static void day_text(char out[16], const Google__Protobuf__Timestamp *t)
{
	struct civil c = civil_vietnam(t != NULL ? t->seconds * 1000 : 0);

	out[0] = '\0';
	if (t != NULL)
		snprintf(out, 16, "%02u/%02u/%04u", c.day, c.month, c.year);
}

static void date_text(char out[16], const Trien__V1__Date *d)
{
	out[0] = '\0';
	if (d != NULL)
		snprintf(out, 16, "%02u/%02u/%04u", d->day, d->month, d->year);
}

static void join(char *out, size_t size, char *const *names, size_t n)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", i > 0 ? "\n" : "", names[i]);
}

/* A line of the notes. */
static void note_add(char *out, size_t size, const char *what, const char *number,
		     const char *day)
{
	size_t n = strlen(out);

	snprintf(out + n, size - n, "%s%s %s%s%s", n > 0 ? "\n" : "", what, number,
		 day[0] != '\0' ? " ngày " : "", day);
}

/* What stands behind it: another number, or a paper (ND 30/2020 art. 18.3; domain of living.h). */
static void note_life(char *out, size_t size, const Trien__V1__RegisterEntry *e)
{
	char day[16] = "";

	if (e->replaces[0] != '\0') {
		day_text(day, e->replaces_time);
		note_add(out, size, "Thay thế số", e->replaces_number, day);
	}
	if (e->corrections_before > 0) {
		snprintf(day, sizeof(day), "%u", e->corrections_before);
		note_add(out, size, "Số lần đính chính trước đó:", day, "");
	}
	for (size_t i = 0; i < e->n_corrections; i++) {
		date_text(day, e->corrections[i]->date);
		note_add(out, size, "Đính chính theo công văn số", e->corrections[i]->number, day);
	}
	if (e->life == TRIEN__V1__LIFE__REVOKED && e->paper_number[0] != '\0') {
		date_text(day, e->paper_date);
		note_add(out, size, "Thu hồi theo quyết định số", e->paper_number, day);
	}
	if (e->replaced_by[0] != '\0') {
		day_text(day, e->replaced_by_time);
		note_add(out, size, "Được thay thế bởi số", e->replaced_by_number, day);
	}
}

static void note_text(char *out, size_t size, const Trien__V1__RegisterEntry *e)
{
	char day[16];

	day_text(day, e->end_time);
	out[0] = '\0';
	if (e->damaged)
		snprintf(out, size, "Dữ liệu hỏng");
	else if (e->state == TRIEN__V1__REGISTER_ENTRY__STATE__PENDING)
		snprintf(out, size, "Chưa ban hành");
	else if (e->state == TRIEN__V1__REGISTER_ENTRY__STATE__VOIDED)
		snprintf(out, size, "Số bị hủy ngày %s: %s", day, e->end_reason);
	else if (e->state == TRIEN__V1__REGISTER_ENTRY__STATE__USED_OUTSIDE)
		snprintf(out, size, "Cấp ngoài hệ thống: %s", e->end_reason);
	else
		note_life(out, size, e);
}

/*
 * A month has what was numbered in it. A number that never had a result has the time of its act;
 * of one without any it is known by those beside it, as numbers are in the order of time.
 */
static bool in_month(struct printing *p, const Trien__V1__RegisterEntry *e)
{
	const Google__Protobuf__Timestamp *t = e->issue_time != NULL ? e->issue_time : e->end_time;

	if (t != NULL)
		p->month = civil_vietnam(t->seconds * 1000).month;
	return p->o->month == 0 || p->o->month == p->month;
}

/* Volumes are books of their own on paper, though their numbers go on. */
static void volume_turn(struct printing *p, const Trien__V1__RegisterEntry *e)
{
	char name[160];

	if (e->book[0] == '\0' || strcmp(e->book, p->volume) == 0)
		return;
	snprintf(p->volume, sizeof(p->volume), "%s", e->book);
	snprintf(name, sizeof(name), "Quyển số: %s", p->volume);
	ledger_volume(p->ledger, name);
}

/* As money is printed, without its unit; nothing where none is known. */
static void fee_text(char out[32], uint64_t fee)
{
	struct writer w = writer_of((uint8_t *)out, 31);

	if (fee != 0 && fee <= INT64_MAX)
		words_number(&w, (int64_t)fee, 0, RUN_NUMBER);
	out[writer_size(&w)] = '\0';
}

static void entry(void *ctx, const Trien__V1__RegisterEntry *e)
{
	struct printing *p = ctx;
	char day[16], people[CELL_BYTES], note[CELL_BYTES], number[64], signer[CELL_BYTES];
	bool issued = e->state == TRIEN__V1__REGISTER_ENTRY__STATE__ISSUED && !e->damaged;
	/* A number is that of one electronic document, however often it is printed or passed on. */
	const char *copies = issued ? "01" : "";
	char fee[32];

	if (p->ledger == NULL && p->st == ST_OK) {
		p->certification = p->o->form != NULL ? strcmp(p->o->form, "chung-thuc") == 0 :
						       e->certification;
		form_of(p);
	}
	bookcheck_entry(p->check, e);
	if (p->st != ST_OK || !in_month(p, e))
		return;
	book_sums_add(&p->sums, p->first, e);
	volume_turn(p, e);
	day_text(day, e->issue_time);
	join(people, sizeof(people), e->recipients, e->n_recipients);
	note_text(note, sizeof(note), e);
	snprintf(number, sizeof(number), "%s", e->number_text);
	if (number[0] == '\0')
		snprintf(number, sizeof(number), "%02" PRIu64, e->number);
	snprintf(signer, sizeof(signer), "%s%s%s", e->signer_name,
		 p->certification && e->signer_title[0] != '\0' ? "\n" : "",
		 p->certification ? e->signer_title : "");
	fee_text(fee, e->fee);
	if (p->certification) {
		const char *cells[COLUMNS] = { number, day, people, e->subject, signer, copies,
					       fee, note };

		ledger_row(p->ledger, cells);
	} else {
		const char *cells[COLUMNS] = { number, day, e->kind_name, signer, people,
					       issued ? "VT" : "", copies, note };

		ledger_row(p->ledger, cells);
	}
}

/* ---- the total ---- */

/* A month that is printed before it ends is not the month's print. */
static void month_text(struct printing *p)
{
	struct civil now = civil_vietnam((int64_t)time(NULL) * 1000);
	char text[100];

	if (p->year * 12 + p->o->month < now.year * 12 + now.month)
		return;
	snprintf(text, sizeof(text), "In ngày %02u/%02u/%04u, khi tháng chưa kết thúc.", now.day,
		 now.month, now.year);
	ledger_text(p->ledger, text, true);
}

static void closing_text(struct printing *p)
{
	struct civil c = civil_vietnam(p->end.at_ms);
	char text[600];
	size_t n = (size_t)snprintf(text, sizeof(text), "Khóa sổ ngày %02u tháng %02u năm "
				    "%04u: %s. Người thực hiện: %s.", c.day, c.month, c.year,
				    p->end.reason, p->end.actor);

	if (p->totalled && n < sizeof(text))
		snprintf(text + n, sizeof(text) - n, " Tổng số khi khóa sổ: %" PRIu64
			 " số đã cấp.", p->total.given);
	ledger_text(p->ledger, text, false);
	ledger_text(p->ledger, "Xác nhận của người đứng đầu cơ quan (ký tên, đóng dấu):", false);
}

/* findings: of the whole book. */
static void sums_text(struct printing *p, uint64_t findings)
{
	const struct book_sums *s = &p->sums;
	char text[600];

	if (s->first == 0)
		snprintf(text, sizeof(text), p->o->month != 0 ? "Trong tháng không có số nào." :
			 "Sổ chưa có số nào.");
	else
		snprintf(text, sizeof(text), "%s: từ số %02" PRIu64 " đến số %02" PRIu64
			 ": %" PRIu64 " số đã ban hành, %" PRIu64 " số bị hủy, %" PRIu64
			 " số cấp ngoài hệ thống, %" PRIu64 " số chưa ban hành.",
			 p->o->month != 0 ? "Cộng trong tháng" : "Tổng cộng", s->first, s->last,
			 s->issued, s->voided, s->outside, s->pending);
	ledger_text(p->ledger, text, true);
	if (findings > 0)
		ledger_text(p->ledger, "Sổ không đầy đủ: xem kết quả kiểm tra (trien register "
			    "check).", true);
	if (p->o->month != 0)
		month_text(p);
	else if (p->closed)
		closing_text(p);
}

/* ---- the whole ---- */

static enum status render_make(struct printing *p, struct catalogue **catalogue)
{
	static struct config config;	/* its strings live until the process ends */
	char *argv[] = { "register", NULL };
	enum status st = config_load(&config, 1, argv, &p->e);
	struct catalogue_config cc = { .schemas = config.schemas };
	struct render_config rc = {
		.font_regular = config.font_regular, .font_bold = config.font_bold,
		.font_italic = config.font_italic, .font_bold_italic = config.font_bold_italic,
		.verify_host = config.verify_host, .templates_max = 1 };
	struct error ignored = { 0 };

	if (st != ST_OK)
		return st;
	/* Names of the agency; without the schemas its code stands there. */
	if (catalogue_load(catalogue, &cc, &ignored) == ST_OK)
		p->unit = catalogue_unit(*catalogue, slice_str(p->o->unit), p->year * 10000 + 1231);
	return render_open(&p->render, &rc, &p->e);
}

static enum status save(struct printing *p)
{
	struct book_sums sums = { 0 };
	uint8_t *pdf = NULL;
	size_t n = 0;
	enum status st = p->st;

	if (p->ledger == NULL && st == ST_OK) {
		p->certification = p->o->form != NULL && strcmp(p->o->form, "chung-thuc") == 0;
		form_of(p);
		st = p->st;
	}
	if (st == ST_OK)
		st = bookcheck_end(p->check, &sums);
	if (st != ST_OK)
		return st;
	sums_text(p, sums.findings);
	st = ledger_end(p->ledger, &pdf, &n, &p->e);
	/* It holds names: nobody else's to read. */
	if (st == ST_OK)
		st = file_replace(p->o->output, slice_of(pdf, n), 0600, &p->e);
	free(pdf);
	if (st == ST_OK)
		printf("%s: %" PRIu64 " numbers, %zu bytes\n", p->o->output,
		       p->sums.issued + p->sums.pending + p->sums.voided + p->sums.outside, n);
	return st;
}

static int form_known(const struct register_options *o)
{
	if (o->form == NULL || strcmp(o->form, "van-ban") == 0 ||
	    strcmp(o->form, "chung-thuc") == 0)
		return 0;
	fprintf(stderr, "trien register: --form is van-ban or chung-thuc\n");
	return 2;
}

int book_print(const struct register_options *o, struct client *c)
{
	const struct book_name name = { o->unit, o->code, (uint32_t)o->year };
	struct printing p = { .o = o, .year = (uint32_t)o->year, .month = 1 };
	const struct book_reader to = { head, entry, &p };
	struct catalogue *catalogue = NULL;
	struct failure f = { 0 };
	int code = form_known(o);

	if (code != 0)
		return code;
	if (p.year == 0)
		p.year = civil_vietnam((int64_t)time(NULL) * 1000).year;
	p.st = bookcheck_new(&p.check, NULL, NULL);
	if (p.st == ST_OK)
		p.st = render_make(&p, &catalogue);
	if (p.st == ST_OK && !book_read(c, &name, true, true, o->engine.timeout_s, &to, &f)) {
		failure_print("register", &f);
		code = failure_exit(&f);
	} else if (p.st == ST_OK) {
		p.st = save(&p);
	}
	if (p.st != ST_OK)
		code = error_exit("register", &p.e);
	ledger_free(p.ledger);
	render_close(p.render);
	catalogue_unref(catalogue);
	bookcheck_free(p.check);
	return code;
}
