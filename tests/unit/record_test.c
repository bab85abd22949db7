#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "batch.h"
#include "identity.h"
#include "journal/record.h"
#include "reason.h"

#define TEXT(s) slice_str(s)

static uint8_t buf[JOURNAL_RECORD_BYTES_MAX];

static struct record_numbered numbered(void)
{
	struct record_numbered r = { .accepted_ms = 1764000000123, .issued_ms = 1764000000124,
				     .results_n = 2, .principal = TEXT("urn:trien:one-stop"),
				     .case_bytes = TEXT("the canonical case") };

	for (uint8_t i = 0; i < r.results_n; i++) {
		r.results[i] = (struct numbered_result){
			.sequence = 0x0123456789abcdef + i, .lane = (uint8_t)(63 - i),
			.number = 4313u + i, .year = 2026, .register_code = TEXT("GXN"),
			.number_text = TEXT("4313/GXN-UBND") };
		r.results[i].issued_ms = sequence_ms(r.results[i].sequence);
		memset(r.results[i].pins.kind, 0x10 + i, PIN_BYTES);
		memset(r.results[i].pins.unit, 0x20 + i, PIN_BYTES);
		memset(r.results[i].pins.signer, 0x30 + i, PIN_BYTES);
	}
	return r;
}

/* One is numbered at once, the other awaits its approval. */
static struct record_numbered accepted(void)
{
	struct record_numbered r = numbered();

	r.results[1].number = 0;
	r.results[1].issued_ms = 0;
	r.results[1].year = 0;
	r.results[1].number_text = slice_of(NULL, 0);
	return r;
}

/* The other one, months later. */
static struct record_numbered numbered_later(void)
{
	struct record_numbered r = numbered();

	r.results[0].number = 0;
	r.results[0].issued_ms = 0;
	r.results[1].issued_ms = r.issued_ms = 1790000000000;
	return r;
}

static struct record_approved *approved(uint32_t n)
{
	static struct record_approved r;

	memset(&r, 0, sizeof(r));
	memset(r.session, 0xa1, sizeof(r.session));
	memset(r.manifest, 0xb2, sizeof(r.manifest));
	r.at_ms = 1790000000000;
	r.signer = TEXT("chu-tich");
	r.principal = TEXT("phong-hop");
	r.delegation = TEXT("Quyết định 12/QĐ-UBND");
	r.results_n = n;
	for (uint32_t i = 0; i < n; i++) {
		r.results[i].sequence = 1000 - i;
		r.results[i].lane = (uint8_t)(i % LANES);
		memset(r.results[i].key, (int)i, sizeof(r.results[i].key));
	}
	return &r;
}

static struct record_result result(void)
{
	struct record_result r = { .sequence = 77, .lane = 5, .reason = REASON_COUNT - 1,
				   .at_ms = -1, .actor = TEXT("registrar"), .detail = TEXT("wrong"),
				   .unit = TEXT("UBND-1"), .register_code = TEXT("QD"),
				   .year = 2025, .number = 9, .kind = TEXT("khai-sinh"),
				   .case_code = TEXT("H29.15-1"), .number_text = TEXT("09/QD"),
				   .ordinal = 1, .revision = 2, .accepted_ms = 1764000000123,
				   .state = STATE_WITHDRAWN, .issued_ms = 1764000000999,
				   .expires_ms = 1795000000000 };

	memset(r.key, 0xab, sizeof(r.key));
	memset(r.result_id, 0xcd, sizeof(r.result_id));
	return r;
}

static struct record_register reg(void)
{
	return (struct record_register){ .unit = TEXT("UBND-1"), .code = TEXT("QD"),
					 .reason = TEXT("office opened"), .actor = TEXT("admin"),
					 .year = 2026, .first = 4313, .at_ms = 1764000000000 };
}

static struct record_link link_record(void)
{
	struct record_link r = { .sequence = 99, .lane = 1, .at_ms = 5, .actor = TEXT("portal"),
				 .reason = TEXT("số định danh mới"),
				 .holder = { .id_kind = ID_CITIZEN, .role = HOLDER_CHILD,
					     .visibility = 1, .country = TEXT("VN"),
					     .number = TEXT("001000000001"),
					     .name = TEXT("Trẻ Một"),
					     .from = 20260101, .to = 20440101 } };

	memset(r.key, 7, sizeof(r.key));
	return r;
}

/* The officer's signature has come, the seal's is asked for. */
static struct record_signature signature_record(void)
{
	struct record_signature r = { .sequence = 78, .lane = 6, .at_ms = 1790000000500, .tries = 1,
				      .slots_n = 2, .service = TEXT("ca-one"),
				      .ticket = TEXT("a ticket"), .until_ms = 1795000000000 };

	r.slots[0].key = TEXT("ubnd.chu-tich");
	r.slots[0].sign_ms = 1790000000000;
	r.slots[0].value = TEXT("a value");
	r.slots[1].key = TEXT("ubnd.seal");
	r.slots[1].sign_ms = 1790000000400;
	memset(r.slots[0].digest, 0x11, SHA256_BYTES);
	memset(r.slots[1].digest, 0x22, SHA256_BYTES);
	return r;
}

static struct record_handed handed(void)
{
	struct record_handed r = { .sequence = numbered().results[1].sequence, .lane = 62,
				   .what = { .at_ms = 1790000000500, .from = TEXT("chu-tich"),
					     .to = TEXT("pho-chu-tich"), .actor = TEXT("van-thu"),
					     .reason = TEXT("Chứng thư số hết hạn") } };

	memset(r.pin, 0x77, sizeof(r.pin));
	return r;
}

static void numbered_round_trip(void **state)
{
	struct record_numbered r = numbered(), got;
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_numbered_encode(&r, &w), ST_OK);
	assert_int_equal(record_numbered_decode(&got, writer_slice(&w)), ST_OK);
	assert_int_equal(got.accepted_ms, r.accepted_ms);
	assert_int_equal(got.issued_ms, r.issued_ms);
	assert_int_equal(got.results_n, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(got.results[i].sequence, r.results[i].sequence);
		assert_int_equal(got.results[i].lane, r.results[i].lane);
		assert_int_equal(got.results[i].number, r.results[i].number);
		assert_int_equal(got.results[i].issued_ms, r.results[i].issued_ms);
		assert_int_equal(got.results[i].year, 2026);
		assert_true(slice_eq(got.results[i].register_code, r.results[i].register_code));
		assert_true(slice_eq(got.results[i].number_text, r.results[i].number_text));
		assert_memory_equal(&got.results[i].pins, &r.results[i].pins, sizeof(struct pins));
	}
	assert_true(slice_eq(got.principal, r.principal));
	assert_true(slice_eq(got.case_bytes, r.case_bytes));
}

static void check_same(const struct record_numbered *a, const struct record_numbered *b)
{
	assert_int_equal(a->results_n, b->results_n);
	for (int i = 0; i < b->results_n; i++) {
		assert_int_equal(a->results[i].sequence, b->results[i].sequence);
		assert_int_equal(a->results[i].number, b->results[i].number);
		assert_int_equal(a->results[i].issued_ms, b->results[i].issued_ms);
		assert_int_equal(a->results[i].year, b->results[i].year);
		assert_true(slice_eq(a->results[i].number_text, b->results[i].number_text));
	}
	assert_true(slice_eq(a->case_bytes, b->case_bytes));
}

/* Version 1 where each was issued when its sequence was made: those bytes are for ever. */
static void numbered_versions(void **state)
{
	struct record_numbered r = numbered(), got;
	struct writer w = writer_of(buf, sizeof(buf));
	size_t plain;

	assert_int_equal(record_numbered_encode(&r, &w), ST_OK);
	assert_int_equal(buf[0], 1);
	plain = writer_size(&w);
	r = accepted();
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(record_numbered_encode(&r, &w), ST_OK);
	assert_int_equal(buf[0], 2);
	assert_int_equal(writer_size(&w), plain + 2 * 8 - numbered().results[1].number_text.n);
	assert_int_equal(record_numbered_decode(&got, writer_slice(&w)), ST_OK);
	check_same(&got, &r);
	r = numbered_later();
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(record_numbered_encode(&r, &w), ST_OK);
	assert_int_equal(buf[0], 2);
	assert_int_equal(record_numbered_decode(&got, writer_slice(&w)), ST_OK);
	assert_int_equal(got.issued_ms, 1790000000000);
	check_same(&got, &r);
}

static void check_handover(const struct handover *a, const struct handover *b)
{
	assert_int_equal(a->at_ms, b->at_ms);
	assert_true(slice_eq(a->from, b->from));
	assert_true(slice_eq(a->to, b->to));
	assert_true(slice_eq(a->actor, b->actor));
	assert_true(slice_eq(a->reason, b->reason));
}

static void handed_round_trip(void **state)
{
	struct record_handed r = handed(), got;
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_handed_encode(&r, &w), ST_OK);
	assert_int_equal(record_handed_decode(&got, writer_slice(&w)), ST_OK);
	assert_int_equal(got.sequence, r.sequence);
	assert_int_equal(got.lane, 62);
	assert_memory_equal(got.pin, r.pin, PIN_BYTES);
	check_handover(&got.what, &r.what);
	r.what.to = TEXT("");
	assert_int_equal(record_handed_encode(&r, &w), ST_TOO_LARGE);
	r = handed();
	r.lane = LANES;
	assert_int_equal(record_handed_encode(&r, &w), ST_TOO_LARGE);
}

/* Another signer in the record of a row; everything else of it stays. */
static void handed_over(void **state)
{
	static uint8_t first[4096], second[4096], third[4096];
	struct record_numbered r = numbered(), got;
	struct record_handed h = handed(), other = h;
	struct writer a = writer_of(first, sizeof(first)), b = writer_of(second, sizeof(second));
	struct writer c = writer_of(third, sizeof(third));
	struct slice named = TEXT("chu-tich");

	assert_int_equal(record_numbered_encode(&r, &a), ST_OK);
	assert_int_equal(record_hand(&h, writer_slice(&a), &b), ST_OK);
	assert_int_equal(second[0], 3);
	assert_int_equal(record_numbered_decode(&got, writer_slice(&b)), ST_OK);
	check_same(&got, &r);
	assert_int_equal(got.handed_n, 1);
	assert_int_equal(got.handed[0].result, 1);
	check_handover(&got.handed[0], &h.what);
	assert_memory_equal(got.results[1].pins.signer, h.pin, PIN_BYTES);
	assert_memory_equal(got.results[1].pins.unit, r.results[1].pins.unit, PIN_BYTES);
	assert_memory_equal(&got.results[0].pins, &r.results[0].pins, sizeof(struct pins));
	assert_true(slice_eq(record_signer(&got, 1, named), h.what.to));
	assert_true(slice_eq(record_signer(&got, 0, named), named));
	/* Applied once, whoever applies it again, later too. */
	assert_int_equal(record_hand(&h, writer_slice(&b), &c), ST_EXISTS);
	other.what.at_ms++;
	other.what.to = TEXT("khac");
	assert_int_equal(record_hand(&other, writer_slice(&b), &c), ST_OK);
	assert_int_equal(record_numbered_decode(&got, writer_slice(&c)), ST_OK);
	assert_int_equal(got.handed_n, 2);
	assert_true(slice_eq(record_signer(&got, 1, named), other.what.to));
	b = writer_of(second, sizeof(second));
	assert_int_equal(record_hand(&h, writer_slice(&c), &b), ST_EXISTS);
	other.sequence = 1;
	assert_int_equal(record_hand(&other, writer_slice(&c), &b), ST_NOT_FOUND);
	assert_int_equal(record_hand(&h, TEXT("?"), &b), ST_CORRUPT);
	got.handed_n = HANDOVERS_MAX;
	for (uint8_t i = 0; i < HANDOVERS_MAX; i++)
		got.handed[i] = got.handed[0];
	a = writer_of(first, sizeof(first));
	assert_int_equal(record_numbered_encode(&got, &a), ST_OK);
	other = h;
	other.what.at_ms += 9;
	assert_int_equal(record_hand(&other, writer_slice(&a), &b), ST_PRECONDITION);
}

static void approved_round_trip(void **state)
{
	static struct record_approved got;
	const struct record_approved *r = approved(APPROVAL_ITEMS_MAX);
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_approved_encode(r, &w), ST_OK);
	assert_int_equal(record_approved_decode(&got, writer_slice(&w)), ST_OK);
	assert_memory_equal(got.session, r->session, sizeof(r->session));
	assert_memory_equal(got.manifest, r->manifest, sizeof(r->manifest));
	assert_int_equal(got.at_ms, r->at_ms);
	assert_true(slice_eq(got.signer, r->signer));
	assert_true(slice_eq(got.principal, r->principal));
	assert_true(slice_eq(got.delegation, r->delegation));
	assert_int_equal(got.results_n, APPROVAL_ITEMS_MAX);
	for (uint32_t i = 0; i < got.results_n; i++) {
		assert_int_equal(got.results[i].sequence, r->results[i].sequence);
		assert_int_equal(got.results[i].lane, r->results[i].lane);
		assert_memory_equal(got.results[i].key, r->results[i].key, 16);
	}
}

static void approved_bounds(void **state)
{
	static const uint8_t big[DELEGATION_BYTES_MAX + 1];
	struct writer w = writer_of(buf, sizeof(buf));
	struct record_approved *r = approved(0);

	assert_int_equal(record_approved_encode(r, &w), ST_TOO_LARGE);
	r = approved(3);
	r->results[2].lane = LANES;
	assert_int_equal(record_approved_encode(r, &w), ST_TOO_LARGE);
	r = approved(3);
	r->delegation = slice_of(big, sizeof(big));
	assert_int_equal(record_approved_encode(r, &w), ST_TOO_LARGE);
	r = approved(APPROVAL_ITEMS_MAX);
	r->results_n++;
	assert_int_equal(record_approved_encode(r, &w), ST_TOO_LARGE);
	assert_int_equal(writer_size(&w), 0);
}

static void result_round_trip(void **state)
{
	struct record_result r = result(), got;
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_result_encode(&r, &w), ST_OK);
	assert_int_equal(record_result_decode(&got, writer_slice(&w)), ST_OK);
	assert_int_equal(got.sequence, 77);
	assert_int_equal(got.lane, 5);
	assert_int_equal(got.reason, r.reason);
	assert_int_equal(got.at_ms, -1);
	assert_memory_equal(got.key, r.key, sizeof(r.key));
	assert_true(slice_eq(got.actor, r.actor));
	assert_true(slice_eq(got.detail, r.detail));
	assert_true(slice_eq(got.unit, r.unit));
	assert_true(slice_eq(got.register_code, r.register_code));
	assert_int_equal(got.year, 2025);
	assert_int_equal(got.number, 9);
	assert_memory_equal(got.result_id, r.result_id, sizeof(r.result_id));
	assert_true(slice_eq(got.kind, r.kind));
	assert_true(slice_eq(got.case_code, r.case_code));
	assert_true(slice_eq(got.number_text, r.number_text));
	assert_int_equal(got.ordinal, 1);
	assert_int_equal(got.revision, 2);
	assert_int_equal(got.accepted_ms, r.accepted_ms);
	assert_int_equal(got.state, STATE_WITHDRAWN);
	assert_int_equal(got.issued_ms, r.issued_ms);
	assert_int_equal(got.expires_ms, r.expires_ms);
	r.state = STATE_VOID + 1;
	assert_int_equal(record_result_encode(&r, &w), ST_TOO_LARGE);
}

/* As written before a voided result could be shown. */
static void result_of_version_1(void **state)
{
	struct record_result r = result(), got;
	struct writer w = writer_of(buf, sizeof(buf));
	size_t behind = 16 + (4 + r.kind.n) + (4 + r.case_code.n) + (4 + r.number_text.n) + 12 + 17;

	assert_int_equal(record_result_encode(&r, &w), ST_OK);
	buf[0] = 1;
	assert_int_equal(record_result_decode(&got, slice_of(buf, writer_size(&w) - behind)),
			 ST_OK);
	assert_int_equal(got.number, 9);
	assert_int_equal(got.kind.n, 0);
	assert_int_equal(got.accepted_ms, 0);
	assert_int_equal(got.state, STATE_HELD);
	assert_int_equal(got.issued_ms, sequence_ms(77));
	assert_int_equal(record_result_decode(&got, writer_slice(&w)), ST_CORRUPT);
}

/* As written before a result could wait for its approval. */
static void result_of_version_2(void **state)
{
	struct record_result r = result(), got;
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_result_encode(&r, &w), ST_OK);
	buf[0] = 2;
	assert_int_equal(record_result_decode(&got, slice_of(buf, writer_size(&w) - 17)), ST_OK);
	assert_int_equal(got.accepted_ms, r.accepted_ms);
	assert_int_equal(got.state, STATE_HELD);
	assert_int_equal(got.issued_ms, sequence_ms(77));
	assert_int_equal(record_result_decode(&got, writer_slice(&w)), ST_CORRUPT);
}

static void register_round_trip(void **state)
{
	struct record_register r = reg(), got;
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_register_encode(&r, &w), ST_OK);
	assert_int_equal(record_register_decode(&got, writer_slice(&w)), ST_OK);
	assert_true(slice_eq(got.unit, r.unit));
	assert_true(slice_eq(got.code, r.code));
	assert_true(slice_eq(got.reason, r.reason));
	assert_true(slice_eq(got.actor, r.actor));
	assert_int_equal(got.year, 2026);
	assert_int_equal(got.first, 4313);
	assert_int_equal(got.at_ms, r.at_ms);
	assert_false(got.totalled);
	r.totalled = true;
	r.issued = 7;
	r.voided = 2;
	r.outside = 1;
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(record_register_encode(&r, &w), ST_OK);
	assert_int_equal(record_register_decode(&got, writer_slice(&w)), ST_OK);
	assert_true(got.totalled && got.issued == 7 && got.voided == 2 && got.outside == 1);
	assert_int_equal(record_register_decode(&got, slice_of(buf, writer_size(&w) - 8)),
			 ST_CORRUPT);
}

static struct record_numbers numbers_record(void)
{
	return (struct record_numbers){ .unit = TEXT("UBND-1"), .code = TEXT("QD"),
					.reason = TEXT("viết tay"), .actor = TEXT("van-thu"),
					.year = 2026, .first = 7, .count = 3, .outside = true,
					.at_ms = 1764000000000 };
}

static void numbers_round_trip(void **state)
{
	struct record_numbers r = numbers_record(), got;
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_numbers_encode(&r, &w), ST_OK);
	assert_int_equal(record_numbers_decode(&got, writer_slice(&w)), ST_OK);
	assert_true(slice_eq(got.unit, r.unit) && slice_eq(got.code, r.code));
	assert_true(slice_eq(got.reason, r.reason) && slice_eq(got.actor, r.actor));
	assert_int_equal(got.year, 2026);
	assert_int_equal(got.first, 7);
	assert_int_equal(got.count, 3);
	assert_true(got.outside);
	assert_int_equal(got.at_ms, r.at_ms);
	for (size_t n = 0; n < writer_size(&w); n++)
		assert_int_equal(record_numbers_decode(&got, slice_of(buf, n)), ST_CORRUPT);
	/* Neither no number, nor more than are told at once, nor beyond the last one there is. */
	r.count = 0;
	assert_int_equal(record_numbers_encode(&r, &w), ST_TOO_LARGE);
	r.count = NUMBERS_TOGETHER_MAX + 1;
	assert_int_equal(record_numbers_encode(&r, &w), ST_TOO_LARGE);
	r.count = 1;
	r.first = UINT64_MAX - 1;
	assert_int_equal(record_numbers_encode(&r, &w), ST_TOO_LARGE);
}

static void link_round_trip(void **state)
{
	struct record_link r = link_record(), got;
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_link_encode(&r, &w), ST_OK);
	assert_int_equal(record_link_decode(&got, writer_slice(&w)), ST_OK);
	assert_int_equal(got.sequence, 99);
	assert_int_equal(got.lane, 1);
	assert_int_equal(got.holder.id_kind, ID_CITIZEN);
	assert_int_equal(got.holder.role, HOLDER_CHILD);
	assert_int_equal(got.holder.visibility, 1);
	assert_true(slice_eq(got.holder.country, r.holder.country));
	assert_true(slice_eq(got.holder.number, r.holder.number));
	assert_true(slice_eq(got.holder.name, r.holder.name));
	assert_int_equal(got.holder.from, 20260101);
	assert_int_equal(got.holder.to, 20440101);
	assert_memory_equal(got.key, r.key, sizeof(r.key));
	assert_int_equal(got.at_ms, 5);
	assert_true(slice_eq(got.actor, r.actor));
	assert_true(slice_eq(got.reason, r.reason));
}

static void signature_round_trip(void **state)
{
	struct record_signature r = signature_record(), got;
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_signature_encode(&r, &w), ST_OK);
	assert_int_equal(record_signature_decode(&got, writer_slice(&w)), ST_OK);
	assert_int_equal(got.sequence, 78);
	assert_int_equal(got.lane, 6);
	assert_int_equal(got.at_ms, r.at_ms);
	assert_int_equal(got.tries, 1);
	assert_int_equal(got.slots_n, 2);
	for (int i = 0; i < 2; i++) {
		assert_true(slice_eq(got.slots[i].key, r.slots[i].key));
		assert_int_equal(got.slots[i].sign_ms, r.slots[i].sign_ms);
		assert_memory_equal(got.slots[i].digest, r.slots[i].digest, SHA256_BYTES);
		assert_true(slice_eq(got.slots[i].value, r.slots[i].value));
	}
	assert_true(slice_eq(got.service, r.service));
	assert_true(slice_eq(got.ticket, r.ticket));
	assert_int_equal(got.until_ms, r.until_ms);
	assert_int_equal(got.numbered.n, 0);
}

static void signature_bounds(void **state)
{
	static const uint8_t big[KEPT_VALUE_BYTES_MAX + TICKET_BYTES_MAX];
	struct record_signature r = signature_record();
	struct writer w = writer_of(buf, sizeof(buf));

	r.slots_n = 0;
	assert_int_equal(record_signature_encode(&r, &w), ST_TOO_LARGE);
	r.slots_n = DOC_SIGNATURES_MAX + 1;
	assert_int_equal(record_signature_encode(&r, &w), ST_TOO_LARGE);
	/* Only the last can be asked for. */
	r = signature_record();
	r.slots[0].value.n = 0;
	assert_int_equal(record_signature_encode(&r, &w), ST_TOO_LARGE);
	r = signature_record();
	r.slots[1].value = slice_of(big, KEPT_VALUE_BYTES_MAX + 1);
	assert_int_equal(record_signature_encode(&r, &w), ST_TOO_LARGE);
	r = signature_record();
	r.ticket = slice_of(big, TICKET_BYTES_MAX + 1);
	assert_int_equal(record_signature_encode(&r, &w), ST_TOO_LARGE);
	assert_int_equal(writer_size(&w), 0);
}

/* In the waiting room the record that it goes on with stands in it. */
static void signature_in_the_waiting_room(void **state)
{
	static uint8_t inner[4096];
	struct record_numbered n = numbered(), got;
	struct record_signature r = signature_record();
	struct writer in = writer_of(inner, sizeof(inner)), w = writer_of(buf, sizeof(buf));
	struct slice found;

	assert_int_equal(record_numbered_encode(&n, &in), ST_OK);
	found = record_numbered_in(RECORD_NUMBERED, writer_slice(&in));
	assert_ptr_equal(found.p, inner);
	r.numbered = writer_slice(&in);
	assert_int_equal(record_signature_encode(&r, &w), ST_OK);
	found = record_numbered_in(RECORD_SIGNATURE, writer_slice(&w));
	assert_true(slice_eq(found, writer_slice(&in)));
	assert_int_equal(record_numbered_decode(&got, found), ST_OK);
	r.numbered.n = 0;
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(record_signature_encode(&r, &w), ST_OK);
	assert_null(record_numbered_in(RECORD_SIGNATURE, writer_slice(&w)).p);
	assert_null(record_numbered_in(RECORD_SIGNATURE, writer_slice(&in)).p);
}

/* ---- acts on a stored result ---- */

static struct record_living living_record(void)
{
	return (struct record_living){ .sequence = 77, .lane = 5, .kind = EVENT_REVOKED, .acts = 3,
				       .at_ms = 1234567, .actor = TEXT("one-stop"),
				       .detail = TEXT("u\n45/QD\n20261101\n\nlan\nwrong") };
}

static void living_round_trip(void **state)
{
	struct record_living r = living_record(), got;
	struct record_link link;
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_living_encode(&r, &w), ST_OK);
	assert_true(record_is_living(writer_slice(&w)));
	assert_int_equal(record_living_decode(&got, writer_slice(&w)), ST_OK);
	assert_int_equal(got.sequence, 77);
	assert_int_equal(got.lane, 5);
	assert_int_equal(got.kind, EVENT_REVOKED);
	assert_int_equal(got.acts, 3);
	assert_int_equal(got.at_ms, 1234567);
	assert_true(slice_eq(got.actor, r.actor));
	assert_true(slice_eq(got.detail, r.detail));
	/* A program that knows LinkHolder alone says that it is too old. */
	assert_int_equal(record_link_decode(&link, writer_slice(&w)), ST_UNSUPPORTED);
	r.kind = EVENT_READ;
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(record_living_encode(&r, &w), ST_TOO_LARGE);
}

static struct record_share share_record(void)
{
	static uint8_t detail[SHARE_BYTES];
	struct writer w = writer_of(detail, sizeof(detail));
	struct share s = { .stamp = 5, .holder = { 1 }, .kind = SHARE_CODE, .scope = SHARE_FILE,
			   .views_max = 9, .views = 2, .expire_ms = 77, .view_ms = 66 };

	share_write(&s, slice_str(""), &w);
	return (struct record_share){ .sequence = 77, .lane = 5, .kind = EVENT_SHARED,
				      .at_ms = 1234567, .changes = 70000, .tries = 9,
				      .codes = 300, .codes_until_ms = 7654321,
				      .secret = { 3, 1, 4 }, .actor = TEXT("portal"),
				      .detail = writer_slice(&w) };
}

static void share_round_trip(void **state)
{
	struct record_share r = share_record(), got;
	struct record_living living;
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_share_encode(&r, &w), ST_OK);
	assert_true(record_is_share(writer_slice(&w)));
	assert_false(record_is_living(writer_slice(&w)));
	assert_int_equal(record_share_decode(&got, writer_slice(&w)), ST_OK);
	assert_int_equal(got.sequence, 77);
	assert_int_equal(got.lane, 5);
	assert_int_equal(got.kind, EVENT_SHARED);
	assert_int_equal(got.at_ms, 1234567);
	assert_int_equal(got.changes, 70000);
	assert_int_equal(got.tries, 9);
	assert_int_equal(got.codes, 300);
	assert_int_equal(got.codes_until_ms, 7654321);
	assert_memory_equal(got.secret, r.secret, sizeof(r.secret));
	assert_true(slice_eq(got.actor, r.actor));
	assert_true(slice_eq(got.detail, r.detail));
	/* A program that knows acts alone says that it is too old. */
	assert_int_equal(record_living_decode(&living, writer_slice(&w)), ST_UNSUPPORTED);
	/* A wrong code is no event, and changes no share. */
	r.kind = 0;
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(record_share_encode(&r, &w), ST_TOO_LARGE);
	r.detail = slice_of(NULL, 0);
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(record_share_encode(&r, &w), ST_OK);
	assert_int_equal(record_share_decode(&got, writer_slice(&w)), ST_OK);
	r.kind = EVENT_REVOKED;
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(record_share_encode(&r, &w), ST_TOO_LARGE);
}

/* As an older program wrote it. */
static void link_is_no_act(void **state)
{
	struct record_link l = link_record();
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(record_link_encode(&l, &w), ST_OK);
	assert_false(record_is_living(writer_slice(&w)));
}

/* ---- all of them alike ---- */

enum { NUMBERED, ACCEPTED, APPROVED, RESULT, SIGNATURE, REGISTER, LINK, HANDED, LIVING,
       NUMBERS, SHARE, KINDS };

static size_t encode(int kind)
{
	struct writer w = writer_of(buf, sizeof(buf));
	struct record_numbered n = kind == NUMBERED ? numbered() : accepted();
	struct record_handed h = handed();
	struct record_result v = result();
	struct record_register g = reg();
	struct record_numbers m = numbers_record();
	struct record_link l = link_record();
	struct record_living a = living_record();
	struct record_share sh = share_record();
	struct record_signature s = signature_record();
	enum status st = kind == NUMBERED || kind == ACCEPTED ? record_numbered_encode(&n, &w) :
			 kind == APPROVED ? record_approved_encode(approved(5), &w) :
			 kind == RESULT ? record_result_encode(&v, &w) :
			 kind == SIGNATURE ? record_signature_encode(&s, &w) :
			 kind == REGISTER ? record_register_encode(&g, &w) :
			 kind == HANDED ? record_handed_encode(&h, &w) :
			 kind == NUMBERS ? record_numbers_encode(&m, &w) :
			 kind == LIVING ? record_living_encode(&a, &w) :
			 kind == SHARE ? record_share_encode(&sh, &w) :
					  record_link_encode(&l, &w);

	assert_int_equal(st, ST_OK);
	return writer_size(&w);
}

static enum status decode(int kind, const uint8_t *p, size_t n)
{
	static union {
		struct record_numbered n;
		struct record_approved a;
		struct record_result v;
		struct record_signature s;
		struct record_register g;
		struct record_handed h;
		struct record_numbers m;
		struct record_link l;
		struct record_living i;
		struct record_share sh;
	} out;
	struct slice s = slice_of(p, n);

	return kind == NUMBERED || kind == ACCEPTED ? record_numbered_decode(&out.n, s) :
	       kind == APPROVED ? record_approved_decode(&out.a, s) :
	       kind == RESULT ? record_result_decode(&out.v, s) :
	       kind == SIGNATURE ? record_signature_decode(&out.s, s) :
	       kind == REGISTER ? record_register_decode(&out.g, s) :
	       kind == HANDED ? record_handed_decode(&out.h, s) :
	       kind == NUMBERS ? record_numbers_decode(&out.m, s) :
	       kind == LIVING ? record_living_decode(&out.i, s) :
	       kind == SHARE ? record_share_decode(&out.sh, s) :
				record_link_decode(&out.l, s);
}

static void strict(void **state)
{
	for (int kind = 0; kind < KINDS; kind++) {
		size_t n = encode(kind);

		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(decode(kind, buf, cut), ST_CORRUPT);
		assert_int_equal(decode(kind, buf, n), ST_OK);
		buf[n] = 0;
		assert_int_equal(decode(kind, buf, n + 1), ST_CORRUPT);
		buf[0] = kind == RESULT || kind == NUMBERED || kind == ACCEPTED ||
			 kind == SHARE ? 4 :
			 kind == LIVING || kind == REGISTER ? 3 : 2;
		assert_int_equal(decode(kind, buf, n), ST_UNSUPPORTED);
		buf[0] = 0;
		assert_int_equal(decode(kind, buf, n), ST_CORRUPT);
	}
}

/* What readers copy into fixed places is bounded on both sides. */
static void bounds(void **state)
{
	struct record_numbered n = numbered();
	struct record_result v = result();
	struct record_register g = reg();
	struct record_link l = link_record();
	struct writer w = writer_of(buf, sizeof(buf));
	static const uint8_t big[CASE_BYTES_MAX + 1];

	n.results_n = 0;
	assert_int_equal(record_numbered_encode(&n, &w), ST_TOO_LARGE);
	n.results_n = CASE_RESULTS_MAX + 1;
	assert_int_equal(record_numbered_encode(&n, &w), ST_TOO_LARGE);
	n = numbered();
	n.results[1].lane = LANES;
	assert_int_equal(record_numbered_encode(&n, &w), ST_TOO_LARGE);
	n = numbered();
	n.results[0].number_text = slice_of(big, NUMBER_TEXT_BYTES_MAX + 1);
	assert_int_equal(record_numbered_encode(&n, &w), ST_TOO_LARGE);
	n = numbered();
	n.case_bytes = slice_of(big, sizeof(big));
	assert_int_equal(record_numbered_encode(&n, &w), ST_TOO_LARGE);
	v.reason = REASON_COUNT;
	assert_int_equal(record_result_encode(&v, &w), ST_TOO_LARGE);
	g.code = slice_of(big, CODE_BYTES_MAX + 1);
	assert_int_equal(record_register_encode(&g, &w), ST_TOO_LARGE);
	l.holder.name = slice_of(big, NAME_BYTES_MAX + 1);
	assert_int_equal(record_link_encode(&l, &w), ST_TOO_LARGE);
	assert_int_equal(writer_size(&w), 0);
	/* A buffer that is too small. */
	n = numbered();
	w = writer_of(buf, 100);
	assert_int_equal(record_numbered_encode(&n, &w), ST_TOO_LARGE);
	/* The largest case with the most results. */
	n.results_n = CASE_RESULTS_MAX;
	for (uint8_t i = 2; i < CASE_RESULTS_MAX; i++)
		n.results[i] = n.results[0];
	n.case_bytes = slice_of(big, CASE_BYTES_MAX);
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(record_numbered_encode(&n, &w), ST_OK);
	assert_int_equal(record_numbered_decode(&n, writer_slice(&w)), ST_OK);
	/* A lane beyond the last in the bytes. */
	size_t size = encode(NUMBERED);
	buf[1 + 8 + 8 + 1 + 8] = LANES;
	assert_int_equal(decode(NUMBERED, buf, size), ST_CORRUPT);
}

/* Bytes changed at random: an answer, and no step outside (run under ASan). */
static void mutations(void **state)
{
	unsigned int seed = 20261124;
	uint32_t taken = 0;

	for (int run = 0; run < 20000; run++) {
		int kind = run % KINDS;
		size_t n = encode(kind);
		size_t cut = rand_r(&seed) % 8 == 0 ? (size_t)rand_r(&seed) % n : n;
		uint8_t *exact = malloc(cut);
		enum status st;

		for (int k = rand_r(&seed) % 4 + 1; k > 0; k--)
			buf[(size_t)rand_r(&seed) % n] = (uint8_t)rand_r(&seed);
		memcpy(exact, buf, cut);
		st = decode(kind, exact, cut);
		assert_true(st == ST_OK || st == ST_CORRUPT || st == ST_UNSUPPORTED);
		taken += st == ST_OK;
		free(exact);
	}
	assert_true(taken > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbered_round_trip), cmocka_unit_test(result_round_trip),
		cmocka_unit_test(numbered_versions), cmocka_unit_test(approved_round_trip),
		cmocka_unit_test(handed_round_trip), cmocka_unit_test(handed_over),
		cmocka_unit_test(approved_bounds), cmocka_unit_test(result_of_version_1),
		cmocka_unit_test(result_of_version_2), cmocka_unit_test(signature_round_trip),
		cmocka_unit_test(signature_bounds),
		cmocka_unit_test(signature_in_the_waiting_room),
		cmocka_unit_test(register_round_trip), cmocka_unit_test(numbers_round_trip),
		cmocka_unit_test(link_round_trip),
		cmocka_unit_test(living_round_trip), cmocka_unit_test(share_round_trip),
		cmocka_unit_test(link_is_no_act),
		cmocka_unit_test(strict), cmocka_unit_test(bounds), cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
