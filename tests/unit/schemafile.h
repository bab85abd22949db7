/*
 * schemafile.h - a schemas folder of a test: small good files, and changed ones.
 */
#ifndef TESTS_SCHEMAFILE_H
#define TESTS_SCHEMAFILE_H

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tmpdir.h"

static const char good_kind[] =
	"{\n"						/* line 1 */
	"\"code\": \"k\",\n"
	"\"versions\": [{\n"
	"\"from\": \"2026-01-01\",\n"
	"\"name\": { \"vi\": \"Giấy\", \"en\": \"Paper\" },\n"
	"\"procedure\": \"1.000001\",\n"
	"\"numbered\": \"at_acceptance\",\n"
	"\"number\": { \"register\": \"K\",\n"
	"  \"form\": \"{n}/K-{unit}\" },\n"
	"\"signs\": [\"person\", \"agency\"],\n"	/* line 10 */
	"\"validity\": { \"field\": \"den\" },\n"
	"\"child_birth\": \"sinh\",\n"
	"\"fields\": [\n"
	"  { \"name\": \"ten\", \"type\": \"text\","
	" \"label\": { \"vi\": \"Tên\", \"en\": \"Name\" } },\n"
	"  { \"name\": \"sinh\", \"type\": \"date\","
	" \"label\": { \"vi\": \"Sinh\", \"en\": \"Birth\" } },\n"
	"  { \"name\": \"den\", \"type\": \"date\", \"required\": false,\n"
	"    \"label\": { \"vi\": \"Đến\", \"en\": \"To\" } },\n"
	"  { \"name\": \"so\", \"type\": \"number\", \"max\": 100,"
	" \"label\": { \"vi\": \"Số\", \"en\": \"N\" } },\n"
	"  { \"name\": \"co\", \"type\": \"flag\","
	" \"label\": { \"vi\": \"Có\", \"en\": \"Is\" } },\n"
	"  { \"name\": \"bang\", \"type\": \"table\","
	" \"label\": { \"vi\": \"Bảng\", \"en\": \"Table\" },\n"
	"    \"columns\": [\n"				/* line 21 */
	"      { \"name\": \"a\", \"label\": \"A\", \"width_permille\": 600 },\n"
	"      { \"name\": \"b\", \"label\": \"B\", \"width_permille\": 400 } ] }\n"
	"],\n"
	"\"layout\": [\n"				/* line 25 */
	"  { \"type\": \"national_header\" },\n"
	"  { \"type\": \"paragraph\", \"text\": \"Ông **{ten|upper}** sinh {sinh|date_long}\" },\n"
	"  { \"type\": \"fields\", \"only_if\": \"co\", \"lines\": [\n"
	"    { \"label\": \"Số\", \"value\": \"{so|money}\" } ] },\n"
	"  { \"type\": \"fields\", \"lines\": [\n"	/* line 30 */
	"    { \"label\": \"Đến\", \"value\": \"{den}\", \"only_if\": \"den\" } ] },\n"
	"  { \"type\": \"table\", \"field\": \"bang\", \"only_if\": \"ten\" },\n"
	"  { \"type\": \"signature\" }\n"
	"] }] }\n";

static const char good_copy[] =
	"{\n"						/* line 1 */
	"\"code\": \"c\",\n"
	"\"versions\": [{\n"
	"\"from\": \"2026-01-01\",\n"
	"\"name\": { \"vi\": \"Bản sao\", \"en\": \"Copy\" },\n"
	"\"procedure\": \"1.000002\",\n"
	"\"copy\": \"certified\",\n"
	"\"numbered\": \"at_acceptance\",\n"
	"\"number\": { \"register\": \"SCT/BS\",\n"
	"  \"form\": \"{n}\", \n"			/* line 10 */
	"  \"volume_numbers\": 200, \"book\": \"{v}/{yyyy}-SCT/BS\" },\n"
	"\"signs\": [\"person\", \"agency\"],\n"
	"\"fields\": [\n"
	"  { \"name\": \"ten\", \"type\": \"text\","
	" \"label\": { \"vi\": \"Tên\", \"en\": \"Name\" } }\n"
	"],\n"
	"\"layout\": [\n"				/* line 16 */
	"  { \"type\": \"title\", \"text\": \"Số {_serial} quyển {_book}\" },\n"
	"  { \"type\": \"paragraph\", \"text\": \"{ten}, {_date|capital}\" },\n"
	"  { \"type\": \"fields\", \"lines\": [\n"
	"    { \"label\": \"{_format}, {_bytes}\", \"value\": \"{_sha256}\" } ] },\n"
	"  { \"type\": \"paragraph\", \"only_if\": \"_wrapped\","
	" \"text\": \"{_wrapped}\" },\n"
	"  { \"type\": \"signature\" },\n"
	"  { \"type\": \"qr\", \"text\": \"\" }\n"
	"] }] }\n";

static const char good_unit[] =
	"{\n"
	"\"code\": \"u\",\n"
	"\"versions\": [ {\n"
	"\"from\": \"2020-01-01\",\n"
	"\"to\": \"2025-06-30\",\n"			/* line 5 */
	"\"name\": \"Ủy ban\",\n"
	"\"notation\": \"UB\",\n"
	"\"place\": \"Chỗ\"\n"
	"}, {\n"
	"\"from\": \"2025-07-01\",\n"			/* line 10 */
	"\"name\": \"Ủy ban nhân dân\",\n"
	"\"header\": \"Ủy ban\\nnhân dân\",\n"
	"\"notation\": \"UBND\",\n"
	"\"place\": \"Chỗ\",\n"
	"\"seal\": { \"image\": \"u.pbm\",\n"		/* line 15 */
	"  \"width_mm\": 36, \"height_mm\": 36, \"optional\": true }\n"
	"} ] }\n";

static const char good_signer[] =
	"{\n"
	"\"code\": \"s\",\n"
	"\"versions\": [ {\n"
	"\"from\": \"2025-07-01\",\n"
	"\"name\": \"Người Ký\",\n"			/* line 5 */
	"\"unit\": \"u\",\n"
	"\"title\": \"CHỦ TỊCH\",\n"
	"\"authority\": \"TM\",\n"
	"\"authority_line\": \"TM. ỦY BAN\",\n"
	"\"kinds\": [\n"				/* line 10 */
	"  \"k\" ]\n"
	"} ] }\n";

/* Writes text, its first `old` replaced by `new` (old NULL: as it is), as dir/name. */
static inline void schema_put(const char *dir, const char *name, const char *text, const char *old,
			      const char *new)
{
	const char *at = old != NULL ? strstr(text, old) : NULL;
	char path[600];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (f == NULL || (old != NULL && at == NULL))
		abort();
	if (at == NULL)
		fputs(text, f);
	else
		fprintf(f, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	fclose(f);
}

/* The three folders, each with its good file. */
static inline void schema_folder(const char *dir)
{
	static const char *const names[] = { "results", "agencies", "signers" };
	char path[600];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if (mkdir(path, 0700) != 0)
			abort();
	}
	schema_put(dir, "results/k.json", good_kind, NULL, NULL);
	schema_put(dir, "agencies/u.json", good_unit, NULL, NULL);
	schema_put(dir, "signers/s.json", good_signer, NULL, NULL);
}

#endif
