#include "portal/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

bool address_read(struct address *a, const char *text, size_t n)
{
	char host[ADDRESS_TEXT_BYTES];

	while (n > 0 && *text == ' ') {
		text++;
		n--;
	}
	while (n > 0 && text[n - 1] == ' ')
		n--;
	if (n == 0 || n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	memcpy(a->b, mapped, sizeof(mapped));
	return inet_pton(AF_INET, host, a->b + 12) == 1 || inet_pton(AF_INET6, host, a->b) == 1;
}

struct address address_of(const struct sockaddr *s)
{
	struct address a = { { 0 } };

	if (s->sa_family == AF_INET) {
		memcpy(a.b, mapped, sizeof(mapped));
		memcpy(a.b + 12, &((const struct sockaddr_in *)s)->sin_addr, 4);
	} else if (s->sa_family == AF_INET6) {
		memcpy(a.b, &((const struct sockaddr_in6 *)s)->sin6_addr, 16);
	}
	return a;
}

static bool is_v4(const struct address *a)
{
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

void address_text(const struct address *a, char out[ADDRESS_TEXT_BYTES])
{
	if (is_v4(a))
		inet_ntop(AF_INET, a->b + 12, out, ADDRESS_TEXT_BYTES);
	else
		inet_ntop(AF_INET6, a->b, out, ADDRESS_TEXT_BYTES);
}

bool address_is_loopback(const struct address *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return is_v4(a) ? a->b[12] == 127 : memcmp(a->b, one, 16) == 0;
}

struct slice address_asker(const struct address *a)
{
	return slice_of(a->b, is_v4(a) ? 16 : 8);
}

enum status proxies_read(struct proxies *p, const char *list, struct error *e)
{
	*p = (struct proxies){ .n = 0 };
	while (*list != '\0') {
		size_t n = strcspn(list, ",");

		if (p->n == PROXIES_MAX || !address_read(&p->of[p->n], list, n))
			return error_set(e, ST_INVALID, "portal_proxies: at most %d addresses as "
					 "numbers, comma-separated", PROXIES_MAX);
		p->n++;
		list += n;
		list += *list == ',';
	}
	return ST_OK;
}

bool proxies_have(const struct proxies *p, const struct address *a)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (address_eq(&p->of[i], a))
			return true;
	return false;
}

struct address proxies_client(const struct proxies *p, const struct address *peer,
			      const char *forwarded)
{
	size_t end = strlen(forwarded);

	if (!proxies_have(p, peer))
		return *peer;
	while (end > 0) {
		size_t start = end;
		struct address a;

		while (start > 0 && forwarded[start - 1] != ',')
			start--;
		if (!address_read(&a, forwarded + start, end - start))
			return *peer;
		if (!proxies_have(p, &a))
			return a;
		end = start > 0 ? start - 1 : 0;
	}
	return *peer;
}

enum status listen_read(const char *text, struct sockaddr_storage *out, socklen_t *n,
			struct error *e)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	const char *colon = strrchr(text, ':');
	char host[ADDRESS_TEXT_BYTES + 2] = "", *end = NULL;
	unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 65536;
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	bool good = port <= 65535 && end > colon + 1 && *end == '\0' && len < sizeof(host);

	memset(out, 0, sizeof(*out));
	if (good)
		memcpy(host, text, len);
	if (good && len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*n = sizeof(*v6);
		good = inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1;
	} else if (good) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*n = sizeof(*v4);
		good = inet_pton(AF_INET, host, &v4->sin_addr) == 1;
	}
	return good ? ST_OK : error_set(e, ST_INVALID, "portal_listen = %s: HOST:PORT is needed, "
					"the host as number, as in 127.0.0.1:8480 or [::1]:8480",
					text);
}
