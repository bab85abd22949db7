#include "render/sheet.h"

#include <stdlib.h>
#include <zlib.h>

enum status sheet_begin(struct sheet *s)
{
	*s = (struct sheet){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(s->at); i++)
		s->at[i] = UINT32_MAX;
	s->f = open_memstream(&s->bytes, &s->size);
	return s->f != NULL ? ST_OK : ST_NOMEM;
}

enum status sheet_end(struct sheet *s, struct layer *out)
{
	bool bad = ferror(s->f) != 0;

	bad = fclose(s->f) != 0 || bad;
	s->f = NULL;
	if (bad) {
		sheet_drop(s);
		return ST_NOMEM;
	}
	*out = (struct layer){ .bytes = (const uint8_t *)s->bytes, .size = (uint32_t)s->size };
	sha256_once(out->bytes, out->size, out->sha256);
	return ST_OK;
}

void sheet_drop(struct sheet *s)
{
	if (s->f != NULL)
		fclose(s->f);
	free(s->bytes);
	*s = (struct sheet){ 0 };
}

void object_begin(struct sheet *s, uint32_t number)
{
	s->at[number] = (uint32_t)ftello(s->f);
	fprintf(s->f, "%u 0 obj\n", number);
}

void object_end(struct sheet *s)
{
	fputs("\nendobj\n", s->f);
}

void object_null(struct sheet *s, uint32_t number)
{
	object_begin(s, number);
	fputs("null", s->f);
	object_end(s);
}

enum status stream_write(FILE *f, const char *dict, struct slice data)
{
	uLongf n = compressBound(data.n);
	uint8_t *small = malloc(n);
	bool deflated;

	if (small == NULL || compress2(small, &n, data.p, data.n, 9) != Z_OK) {
		free(small);
		return ST_NOMEM;
	}
	deflated = n + strlen("/Filter/FlateDecode") < data.n;
	fprintf(f, "<<%s%s/Length %zu>>\nstream\n", dict, deflated ? "/Filter/FlateDecode" : "",
		deflated ? (size_t)n : data.n);
	fwrite(deflated ? small : data.p, 1, deflated ? n : data.n, f);
	fputs("\nendstream", f);
	free(small);
	return ST_OK;
}

enum status object_stream(struct sheet *s, uint32_t number, const char *dict, struct slice data)
{
	enum status st;

	object_begin(s, number);
	st = stream_write(s->f, dict, data);
	object_end(s);
	return st;
}
