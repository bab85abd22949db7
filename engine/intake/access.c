#include <grpc/support/alloc.h>
#include <stdlib.h>

#include "intake/check.h"
#include "intake/server.h"

#define URI_PREFIX "trien://principal/"

static bool property_is(const grpc_auth_context *ctx, const char *name, const char *value)
{
	grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(ctx, name);
	const grpc_auth_property *p = grpc_auth_property_iterator_next(&it);

	return p != NULL && slice_eq(slice_of(p->value, p->value_length), slice_str(value));
}

/*
 * The one SAN URI that names a principal. A certificate with two of them is ambiguous and names
 * nobody; the common name is never looked at.
 */
static struct slice uri_name(const grpc_auth_context *ctx)
{
	grpc_auth_property_iterator it =
		grpc_auth_context_find_properties_by_name(ctx, GRPC_PEER_URI_PROPERTY_NAME);
	const grpc_auth_property *p;
	size_t n = strlen(URI_PREFIX);
	struct slice name = { NULL, 0 };

	while ((p = grpc_auth_property_iterator_next(&it)) != NULL) {
		if (p->value_length <= n || memcmp(p->value, URI_PREFIX, n) != 0)
			continue;
		if (name.p != NULL)
			return (struct slice){ NULL, 0 };
		name = slice_of(p->value + n, p->value_length - n);
	}
	return name;
}

/* *known: the caller is identified, whether it is one of the principals or not. */
static struct principal *identify(struct call *c, bool *known)
{
	grpc_auth_context *ctx = grpc_call_auth_context(c->grpc);
	struct principal *found = NULL;
	char *peer;
	uid_t uid;

	*known = false;
	if (ctx != NULL && property_is(ctx, GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME,
				       GRPC_SSL_TRANSPORT_SECURITY_TYPE)) {
		struct slice name = uri_name(ctx);

		*known = name.n > 0;
		if (*known)
			found = principals_named(c->principals, name);
		grpc_auth_context_release(ctx);
		return found;
	}
	if (ctx != NULL)
		grpc_auth_context_release(ctx);
	peer = grpc_call_get_peer(c->grpc);
	if (peer != NULL && strncmp(peer, "fd:", 3) == 0) {
		*known = c->in->door != NULL && door_uid(c->in->door, peer, &uid);
		if (*known)
			found = principals_uid(c->principals, uid);
	} else if (c->in->tls == NULL && c->in->insecure_loopback[0] != '\0') {
		*known = true;
		found = principals_named(c->principals, slice_str(c->in->insecure_loopback));
	}
	gpr_free(peer);
	return found;
}

void access_role(struct call *c, uint32_t any_of, const char *field)
{
	char roles[ROLES_TEXT_BYTES];

	principal_roles(any_of, roles);
	call_refuse(c, FAULT_ROLE_MISSING, field, "%s has not role %s (principals.json)",
		    principal_name(c->principal), roles);
}

void access_unit(struct call *c, const char *field, struct slice unit)
{
	char code[FIELD_NAME_BYTES_MAX + 1];

	check_name(code, unit);
	call_refuse(c, FAULT_UNIT_DENIED, field, "%s has not unit %s (principals.json)",
		    principal_name(c->principal), code);
}

bool access_known(struct call *c, const char *field, struct slice code, bool kind)
{
	const struct engine_ops *ops = &c->in->ops;
	struct catalogue *catalogue = ops->catalogue(ops->ctx);
	bool known = kind ? catalogue_kind_exists(catalogue, code) :
			    catalogue_unit_exists(catalogue, code);
	char name[FIELD_NAME_BYTES_MAX + 1];

	catalogue_unref(catalogue);
	check_name(name, code);
	if (!known)
		call_refuse(c, FAULT_ARGUMENT_INVALID, field, "there is no %s %s",
			    kind ? "kind" : "agency", name);
	return known;
}

bool access_check(struct call *c)
{
	bool known;

	if (c->m->anonymous)
		return true;
	c->principal = identify(c, &known);
	if (c->principal == NULL) {
		call_refuse(c, known ? FAULT_PRINCIPAL_UNKNOWN : FAULT_UNAUTHENTICATED, "",
			    "%s", "");
		return false;
	}
	if (!principal_may(c->principal, c->m->roles)) {
		access_role(c, c->m->roles, "");
		return false;
	}
	return true;
}
