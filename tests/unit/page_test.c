/* Templates: what each tag writes, that nothing of a model gets out as HTML, and the shipped pages
 * with their words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "portal/embedded.h"
#include "portal/page.h"

static const char vi[] = "{\"hello\": \"Chào {name}\", \"state.good\": \"Tốt & <b>\"}";
static const char en[] = "{\"hello\": \"Hello {name}\", \"state.good\": \"Good\"}";

static struct words *words_made(void)
{
	const struct slice of[LANGUAGES] = { slice_str(vi), slice_str(en) };
	struct words *w;

	assert_int_equal(words_new(&w, of, NULL), ST_OK);
	return w;
}

/* The page as text, which is the caller's; NULL: it could not be written. */
static char *written(const char *source, const char *part, const char *model, size_t max)
{
	struct words *w = words_made();
	struct pages *p;
	struct text out = text_of(max);
	json_t *j = json_loads(model, 0, NULL);
	enum status st;

	assert_non_null(j);
	assert_int_equal(pages_new(&p, w), ST_OK);
	assert_int_equal(pages_add(p, "page", slice_str(source), NULL), ST_OK);
	assert_int_equal(pages_add(p, "part", slice_str(part), NULL), ST_OK);
	assert_int_equal(pages_link(p, NULL), ST_OK);
	st = page_render(p, "page", LANGUAGE_VI, j, &out, NULL);
	text_add(&out, "", 1);
	json_decref(j);
	pages_free(p);
	words_free(w);
	if (st != ST_OK)
		text_free(&out);
	return out.p;
}

static void expect(const char *source, const char *model, const char *is)
{
	char *out = written(source, "", model, 4096);

	assert_non_null(out);
	assert_string_equal(out, is);
	free(out);
}

static void values(void **state)
{
	expect("a {{x}} b", "{\"x\": \"ơ\"}", "a ơ b");
	expect("{{x}}{{y}}{{z}}", "{\"x\": 7, \"y\": null, \"z\": true}", "7");
	expect("{{a.b.c}}|{{a.x.c}}", "{\"a\": {\"b\": {\"c\": \"in\"}}}", "in|");
	expect("{{ x }}", "{\"x\": \"s\"}", "s");
	expect("{! not a tag } {{! a remark }}x", "{}", "{! not a tag } x");
}

static void sections(void **state)
{
	expect("{{#l}}<{{.}}>{{/l}}", "{\"l\": [1, \"b\"]}", "<1><b>");
	expect("{{#l}}{{n}}{{o}} {{/l}}", "{\"o\": \"!\", \"l\": [{\"n\": 1}, {\"n\": 2}]}",
	       "1! 2! ");
	expect("{{#o}}{{n}}{{/o}}{{^o}}none{{/o}}", "{\"o\": {\"n\": 3}}", "3");
	expect("{{#a}}x{{/a}}{{#b}}x{{/b}}{{#c}}x{{/c}}{{#d}}x{{/d}}{{#e}}x{{/e}}{{#f}}x{{/f}}",
	       "{\"a\": false, \"b\": null, \"c\": \"\", \"d\": 0, \"e\": []}", "");
	expect("{{^a}}y{{/a}}{{^b}}y{{/b}}", "{\"a\": [], \"b\": 1}", "y");
	/* Alone on its line, a section leaves no line behind. */
	expect("a\n{{#x}}\nb\n{{/x}}\nc\n", "{\"x\": true}", "a\nb\nc\n");
	expect("a {{#x}}b{{/x}}\nc\n", "{\"x\": true}", "a b\nc\n");
}

static void words_of_a_page(void **state)
{
	expect("{{t hello}}", "{\"name\": \"Bình\"}", "Chào Bình");
	expect("{{t state.{s}}}", "{\"s\": \"good\"}", "Tốt &amp; &lt;b&gt;");
	assert_null(written("{{t state.{s}}}", "", "{\"s\": \"bad\"}", 4096));
	assert_null(written("{{t gone}}", "", "{}", 4096));
	/* A key is not told what a model put there: it may be as long as it likes. */
	assert_null(written("{{t {s}}}", "", "{\"s\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}",
			    4096));
}

static void parts(void **state)
{
	char *out = written("[{{#l}}{{>part}}{{/l}}]", "{{n}},",
			    "{\"l\": [{\"n\": 1}, {\"n\": 2}]}", 4096);

	assert_string_equal(out, "[1,2,]");
	free(out);
}

/* In text, in an attribute with either quote, through a word, in a URL, in a list, in a part. */
static void nothing_gets_out(void **state)
{
	static const char evil[] =
		"{\"x\": \"\\\"'><script>alert(1)</script>&{{y}}\", \"y\": \"no\", \"l\": "
		"[\"<img onerror=\\\"a\\\">\"], \"name\": \"<svg/onload='x'>\"}";
	static const char *const sources[] = {
		"<p>{{x}}</p>", "<p a=\"{{x}}\">", "<p a='{{x}}'>", "{{#l}}<p>{{.}}</p>{{/l}}",
		"<a href=\"/x?{{u x}}\">", "<p title=\"{{t hello}}\">", "{{#x}}<p>{{.}}</p>{{/x}}",
		"<p>{{>part}}</p>",
	};

	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		char *out = written(sources[i], "<i>{{x}}</i>", evil, 4096);
		uint32_t quotes = 0;

		assert_non_null(out);
		assert_null(strstr(out, "<script"));
		assert_null(strstr(out, "<img"));
		assert_null(strstr(out, "<svg"));
		for (const char *p = out; *p != '\0'; p++)
			quotes += *p == '"' || *p == '\'';
		/* Only the template's own. */
		assert_int_equal(quotes, strchr(sources[i], '"') != NULL ||
				 strchr(sources[i], '\'') != NULL ? 2 : 0);
		/* What a value says is no template. */
		assert_null(strstr(out, "no"));
		free(out);
	}
	expect("{{u x}}", "{\"x\": \"a b/c?d&e=ơ%\"}", "a%20b%2Fc%3Fd%26e%3D%C6%A1%25");
}

static void wrong_pages(void **state)
{
	static const struct { const char *source, *why; } bad[] = {
		{ "a\n{{x", "line 2: {{ without }}" }, { "{{#a}}", "without end" },
		{ "{{#a}}{{/b}}", "ends no section" }, { "{{/a}}", "ends no section" },
		{ "{{}}", "a name is needed" }, { "{{t }}", "a name is needed" },
	};
	struct words *w = words_made();
	struct error e;
	struct pages *p;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(pages_new(&p, w), ST_OK);
		assert_int_equal(pages_add(p, "page", slice_str(bad[i].source), &e), ST_INVALID);
		if (strstr(e.text, bad[i].why) == NULL)
			fail_msg("%s: %s", bad[i].source, e.text);
		pages_free(p);
	}
	assert_int_equal(pages_new(&p, w), ST_OK);
	assert_int_equal(pages_add(p, "a", slice_str("{{>b}}"), NULL), ST_OK);
	assert_int_equal(pages_link(p, &e), ST_INVALID);
	assert_int_equal(pages_add(p, "b", slice_str("{{>a}}"), NULL), ST_OK);
	assert_int_equal(pages_link(p, &e), ST_INVALID);
	pages_free(p);
	words_free(w);
}

static void bounds(void **state)
{
	char *out = written("{{#l}}0123456789{{/l}}", "", "{\"l\": [1, 2, 3]}", 31);

	assert_string_equal(out, "012345678901234567890123456789");
	free(out);
	assert_null(written("{{#l}}0123456789{{/l}}", "", "{\"l\": [1, 2, 3]}", 29));
}

/* ---- what is shipped ---- */

static json_t *shipped(const char *name)
{
	const struct embedded *f = embedded_find(name);
	json_t *j;

	assert_non_null(f);
	j = json_loadb((const char *)f->start, embedded_bytes(f).n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	return j;
}

/* "{n}" of a text, in their order, as one string. */
static void names_of(const char *text, char out[256])
{
	size_t n = 0;

	for (const char *p = strchr(text, '{'); p != NULL; p = strchr(p + 1, '{'))
		n += (size_t)snprintf(out + n, 256 - n, "%.*s", (int)strcspn(p, "}"), p);
	out[n] = '\0';
}

static int by_letter(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

static void both_languages(void **state)
{
	json_t *of[2] = { shipped("words/vi.json"), shipped("words/en.json") };
	const char *key;
	json_t *text;

	for (int i = 0; i < 2; i++)
		json_object_foreach(of[i], key, text) {
			const char *other = json_string_value(json_object_get(of[1 - i], key));
			char mine[256], theirs[256];

			if (other == NULL)
				fail_msg("%s is in one language only", key);
			names_of(json_string_value(text), mine);
			names_of(other, theirs);
			/* Each names the same values, in its own order. */
			qsort(mine, strlen(mine), 1, by_letter);
			qsort(theirs, strlen(theirs), 1, by_letter);
			if (strcmp(mine, theirs) != 0)
				fail_msg("%s names other values in the other language", key);
		}
	json_decref(of[0]);
	json_decref(of[1]);
}

/* Does some page or some handler say this key? Their beginnings count where a model ends them. */
static bool used_by(const char *text, size_t n, const char *key)
{
	size_t head = strlen(key);
	const char *p = memmem(text, n, key, head);

	for (; p != NULL; p = memmem(p + 1, n - (size_t)(p + 1 - text), key, head))
		if (p[head] == '}' || p[head] == '"')
			return true;
	for (const char *dot = strrchr(key, '.'); dot != NULL; dot = NULL) {
		char begun[128];
		int len = snprintf(begun, sizeof(begun), "{{t %.*s.{", (int)(dot - key), key);

		if (memmem(text, n, begun, (size_t)len) != NULL)
			return true;
	}
	return false;
}

static char *handlers(size_t *n)
{
	FILE *f = popen("cat " SOURCE_DIR "/engine/portal/*.c", "r");
	char *text = malloc(4 << 20);

	assert_non_null(f);
	assert_non_null(text);
	*n = fread(text, 1, 4 << 20, f);
	pclose(f);
	assert_true(*n > 1000);
	return text;
}

static void no_word_is_unused(void **state)
{
	json_t *of = shipped("words/vi.json"), *text;
	size_t n;
	char *code = handlers(&n);
	const char *key;

	json_object_foreach(of, key, text) {
		bool used = used_by(code, n, key) || strncmp(key, "title.", 6) == 0 ||
			    strncmp(key, "error.", 6) == 0;
		const struct embedded *f;

		for (uint32_t i = 0; !used && (f = embedded_at(i)) != NULL; i++)
			used = strncmp(f->name, "pages/", 6) == 0 &&
			       used_by((const char *)f->start, embedded_bytes(f).n, key);
		if (!used)
			fail_msg("%s is used nowhere", key);
	}
	free(code);
	json_decref(of);
}

/* Every {{t key}} without a model's part is there, every page has its title. */
static void no_word_is_missing(void **state)
{
	/* What a page may be refused with: answer.c and engineside.c. */
	static const unsigned int refused[] = { 400, 403, 404, 405, 409, 413, 429, 500, 503 };
	json_t *of = shipped("words/vi.json");
	const struct embedded *f;

	for (uint32_t i = 0; (f = embedded_at(i)) != NULL; i++) {
		const char *p = (const char *)f->start, *end = (const char *)f->end;

		if (strncmp(f->name, "pages/", 6) != 0)
			continue;
		while ((p = memmem(p, (size_t)(end - p), "{{t ", 4)) != NULL) {
			char key[128];

			p += 4;
			snprintf(key, sizeof(key), "%.*s", (int)strcspn(p, "}{ "), p);
			if (p[strcspn(p, "}{")] == '}' && json_object_get(of, key) == NULL)
				fail_msg("%s: no word %s", f->name, key);
		}
		if (memmem(f->start, embedded_bytes(f).n, "{{>head}}", 9) != NULL) {
			char title[128];

			snprintf(title, sizeof(title), "title.%.*s",
				 (int)(strlen(f->name) - 11), f->name + 6);
			if (json_object_get(of, title) == NULL)
				fail_msg("%s: no word %s", f->name, title);
		}
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char heading[32], text[32];

		snprintf(heading, sizeof(heading), "error.%u.heading", refused[i]);
		snprintf(text, sizeof(text), "error.%u.text", refused[i]);
		if (json_object_get(of, heading) == NULL || json_object_get(of, text) == NULL)
			fail_msg("no words for %u", refused[i]);
	}
	json_decref(of);
}

/* Inside a tag, a value stands between quotes. */
static void values_are_quoted(const char *name, const char *text)
{
	bool tag = false;
	char quote = '\0';

	for (const char *p = text; *p != '\0'; p++) {
		if (quote != '\0')
			quote = *p == quote ? '\0' : quote;
		else if (tag && (*p == '"' || *p == '\''))
			quote = *p;
		else if (*p == '<' || *p == '>')
			tag = *p == '<';
		if (memcmp(p, "{{", 2) != 0)
			continue;
		if (tag && quote == '\0' && strchr("#^/", p[2]) == NULL)
			fail_msg("%s: a value without quotes: %.40s", name, p);
		p += strcspn(p, "}");
	}
}

/* A value stands in a quoted attribute or in text, never where escaping does not help. */
static void values_stand_where_escaping_helps(void **state)
{
	const struct embedded *f;

	for (uint32_t i = 0; (f = embedded_at(i)) != NULL; i++) {
		struct slice s = embedded_bytes(f);
		char *text;

		if (strncmp(f->name, "pages/", 6) != 0)
			continue;
		text = strndup((const char *)s.p, s.n);
		assert_null(strstr(text, "<style"));
		assert_null(strstr(text, " style="));
		values_are_quoted(f->name, text);
		assert_null(strstr(text, "javascript:"));
		for (const char *p = text; (p = strstr(p, "<script")) != NULL; p++)
			assert_memory_equal(p, "<script src=\"/assets/", 21);
		for (const char *p = text; (p = strstr(p, " on")) != NULL; p++)
			if (p[3] >= 'a' && p[3] <= 'z')
				assert_int_not_equal(p[3 + strspn(p + 3,
					"abcdefghijklmnopqrstuvwxyz")], '=');
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values), cmocka_unit_test(sections),
		cmocka_unit_test(words_of_a_page), cmocka_unit_test(parts),
		cmocka_unit_test(nothing_gets_out), cmocka_unit_test(wrong_pages),
		cmocka_unit_test(bounds), cmocka_unit_test(both_languages),
		cmocka_unit_test(no_word_is_unused), cmocka_unit_test(no_word_is_missing),
		cmocka_unit_test(values_stand_where_escaping_helps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
