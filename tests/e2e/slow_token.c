/*
 * slow_token.c - a PKCS#11 module that is another one (TRIEN_TOKEN_MODULE), but for one thing: as
 * long as the file that TRIEN_TOKEN_CLOSED names is there, it does not sign.
 */
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static CK_FUNCTION_LIST ours, *theirs;
static const char *closed;

static CK_RV sign(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG n, unsigned char *out,
		  CK_ULONG *size)
{
	while (closed != NULL && access(closed, F_OK) == 0)
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	return theirs->C_Sign(session, data, n, out, size);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	const char *path = getenv("TRIEN_TOKEN_MODULE");
	void *module = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	union { void *symbol; CK_C_GetFunctionList call; } get = { .symbol =
		module != NULL ? dlsym(module, "C_GetFunctionList") : NULL };

	if (get.symbol == NULL || get.call(&theirs) != CKR_OK)
		return CKR_GENERAL_ERROR;
	closed = getenv("TRIEN_TOKEN_CLOSED");
	ours = *theirs;
	ours.C_Sign = sign;
	*list = &ours;
	return CKR_OK;
}
