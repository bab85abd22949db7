#include "render/sheet.h"

#include <stdlib.h>

static void escaped(FILE *f, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '&')
			fputs("&amp;", f);
		else if (*s == '<')
			fputs("&lt;", f);
		else if (*s == '>')
			fputs("&gt;", f);
		else
			fputc(*s, f);
	}
}

static void packet(FILE *f, const char *title_vi, const char *title_en)
{
	fputs("<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
	      "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
	      "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
	      "<rdf:Description rdf:about=\"\" xmlns:pdfaid=\"http://www.aiim.org/pdfa/ns/id/\" "
	      "xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n"
	      "<pdfaid:part>3</pdfaid:part>\n<pdfaid:conformance>U</pdfaid:conformance>\n"
	      "<dc:format>application/pdf</dc:format>\n"
	      "<dc:language><rdf:Bag><rdf:li>vi-VN</rdf:li></rdf:Bag></dc:language>\n"
	      "<dc:title><rdf:Alt><rdf:li xml:lang=\"x-default\">", f);
	escaped(f, title_vi);
	fputs("</rdf:li><rdf:li xml:lang=\"vi\">", f);
	escaped(f, title_vi);
	if (title_en != NULL) {
		fputs("</rdf:li><rdf:li xml:lang=\"en\">", f);
		escaped(f, title_en);
	}
	fputs("</rdf:li></rdf:Alt></dc:title>\n"
	      "</rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"r\"?>", f);
}

enum status metadata_object(struct sheet *s, const char *title_vi, const char *title_en)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (f == NULL)
		return ST_NOMEM;
	packet(f, title_vi, title_en);
	if (fclose(f) != 0) {
		free(text);
		return ST_NOMEM;
	}
	/* Not deflated: tools that know no PDF look for the packet (ISO 19005-3, 6.6.2.1). */
	object_begin(s, OBJ_METADATA);
	fprintf(s->f, "<</Type/Metadata/Subtype/XML/Length %zu>>\nstream\n", n);
	fwrite(text, 1, n, s->f);
	fputs("\nendstream", s->f);
	object_end(s);
	free(text);
	return ST_OK;
}
