#include "load/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grpc/status.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trien/v1/operations.pb-c.h"

#define PRINCIPAL "load"
#define READY_S 60
#define CODES_MAX 64

extern char **environ;

static bool exists(const char *folder, const char *name)
{
	char path[500];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return stat(path, &st) == 0;
}

/* log: where its output goes, NULL: ours. Its pid, or -1. */
static pid_t spawn(char *const *words, const char *log)
{
	posix_spawn_file_actions_t files;
	pid_t pid = -1;
	int rc;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (log != NULL) {
		posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND,
						 0600);
		posix_spawn_file_actions_adddup2(&files, 1, 2);
	}
	rc = posix_spawnp(&pid, words[0], &files, NULL, words, environ);
	posix_spawn_file_actions_destroy(&files);
	return rc == 0 ? pid : -1;
}

pid_t run_shell(const char *command)
{
	char *words[] = { (char *)"/bin/sh", (char *)"-c", (char *)command, NULL };

	return spawn(words, NULL);
}

static enum status write_principals(const struct server *s, struct error *e)
{
	char path[500];
	json_t *j = json_pack("{s:[{s:s,s:[s,s,s,s,s],s:[s],s:[i]}]}", "principals", "name",
			      PRINCIPAL, "roles", "submit", "read", "portal", "audit", "registry",
			      "units", "*", "uids", (int)getuid());
	int rc;

	snprintf(path, sizeof(path), "%s/principals.json", s->data);
	rc = j != NULL ? json_dump_file(j, path, JSON_INDENT(1)) : -1;
	json_decref(j);
	return rc == 0 ? ST_OK : error_set(e, ST_IO, "%s cannot be written", path);
}

static enum status make_folder(const struct server *s, struct error *e)
{
	char *words[] = { (char *)s->trien, (char *)"keys", (char *)"dev", (char *)"--data",
			  (char *)s->data, (char *)"--schemas", (char *)s->schemas,
			  (char *)"--algorithm", (char *)s->algorithm, (char *)"--client",
			  (char *)PRINCIPAL, NULL };
	char log[500];
	int status;
	pid_t pid;

	if (mkdir(s->data, 0700) != 0 && errno != EEXIST)
		return error_set(e, ST_IO, "%s: %s", s->data, strerror(errno));
	snprintf(log, sizeof(log), "%s/keys.txt", s->data);
	pid = spawn(words, log);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return error_set(e, ST_IO, "%s keys dev failed; see %s", s->trien, log);
	return write_principals(s, e);
}

/* One that nobody had a moment ago. */
static uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		a.sin_port = 0;
	if (fd >= 0)
		close(fd);
	return ntohs(a.sin_port);
}

enum status server_spawn(struct server *s, struct error *e)
{
	char socket[500], log[500], pem[3][400], *words[SERVER_WORDS_MAX];
	int n = 0;

	snprintf(socket, sizeof(socket), "unix:%s/engine.sock", s->data);
	snprintf(log, sizeof(log), "%s/engine.log", s->data);
	snprintf(pem[0], sizeof(pem[0]), "%s/tls/server.pem", s->data);
	snprintf(pem[1], sizeof(pem[1]), "%s/tls/server.key", s->data);
	snprintf(pem[2], sizeof(pem[2]), "%s/tls/ca.pem", s->data);
	const char *all[] = { s->trien, "serve", "--data", s->data, "--schemas", s->schemas,
			      "--development", "--listen", socket };
	const char *clear[] = { "--listen", s->address, "--insecure-loopback", PRINCIPAL };
	const char *mtls[] = { "--listen", s->address, "--tls-cert", pem[0], "--tls-key", pem[1],
			       "--tls-client-ca", pem[2] };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		words[n++] = (char *)all[i];
	for (size_t i = 0; s->door == DOOR_CLEAR && i < ARRAY_LEN(clear); i++)
		words[n++] = (char *)clear[i];
	for (size_t i = 0; s->door == DOOR_MTLS && i < ARRAY_LEN(mtls); i++)
		words[n++] = (char *)mtls[i];
	for (int i = 0; i < s->extra_n && n + 1 < SERVER_WORDS_MAX; i++)
		words[n++] = s->extra[i];
	words[n] = NULL;
	s->pid = spawn(words, log);
	if (s->pid > 0)
		return ST_OK;
	s->pid = 0;
	return error_set(e, ST_IO, "%s cannot be started", s->trien);
}

static void point_at(struct server *s, struct client_options *o)
{
	o->data = s->data;
	o->connect = s->door == DOOR_UNIX ? NULL : s->address;
	if (s->door != DOOR_MTLS)
		return;
	snprintf(s->files[0], sizeof(s->files[0]), "%s/tls/ca.pem", s->data);
	snprintf(s->files[1], sizeof(s->files[1]), "%s/tls/client-" PRINCIPAL ".pem", s->data);
	snprintf(s->files[2], sizeof(s->files[2]), "%s/tls/client-" PRINCIPAL ".key", s->data);
	o->tls_ca = s->files[0];
	o->tls_cert = s->files[1];
	o->tls_key = s->files[2];
}

enum status server_wait(struct server *s, const struct client_options *o, uint32_t seconds,
			struct error *e)
{
	Trien__V1__GetStatusRequest q = TRIEN__V1__GET_STATUS_REQUEST__INIT;
	struct client_options short_one = *o;
	struct failure f = { 0 };
	bool up = false;

	short_one.timeout_s = 2;
	for (uint32_t i = 0; i < seconds * 20 && !up; i++) {
		struct client *c = NULL;
		Trien__V1__Status *a;
		enum status st = client_open(&c, &short_one, e);

		if (st != ST_OK)
			return st;
		a = (void *)client_call(c, OPERATIONS "GetStatus", &q.base,
					&trien__v1__status__descriptor, &f);
		up = a != NULL && a->numbering && a->store_up;
		if (a != NULL)
			trien__v1__status__free_unpacked(a, NULL);
		client_close(c);
		if (!up)
			usleep(50000);
		if (s != NULL && s->pid > 0 && waitpid(s->pid, NULL, WNOHANG) == s->pid) {
			s->pid = 0;
			return error_set(e, ST_IO, "the engine ended; see %s/engine.log", s->data);
		}
	}
	return up ? ST_OK : error_set(e, ST_IO, "the engine does not answer: %s", f.en);
}

enum status server_start(struct server *s, struct client_options *o, struct error *e)
{
	enum status st = ST_OK;

	if (!exists(s->data, "certs"))
		st = make_folder(s, e);
	if (s->door == DOOR_UNIX)
		s->address[0] = '\0';
	else
		snprintf(s->address, sizeof(s->address), "localhost:%u", free_port());
	if (st == ST_OK)
		st = server_spawn(s, e);
	point_at(s, o);
	if (st == ST_OK)
		st = server_wait(s, o, READY_S, e);
	if (st == ST_OK)
		st = server_registers(s, o, e);
	if (st != ST_OK)
		server_kill(s);
	return st;
}

/* ---- registers ---- */

struct codes { char of[CODES_MAX][64]; uint32_t n; };

static void add_code(struct codes *c, const char *code)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (strcmp(c->of[i], code) == 0)
			return;
	if (c->n < CODES_MAX)
		snprintf(c->of[c->n++], sizeof(c->of[0]), "%s", code);
}

/* Series that count here: a kind whose numbers the case brings needs none. */
static void register_codes(const char *schemas, struct codes *out)
{
	char pattern[500];
	glob_t files;

	snprintf(pattern, sizeof(pattern), "%s/results/*.json", schemas);
	if (glob(pattern, 0, NULL, &files) != 0)
		return;
	for (size_t i = 0; i < files.gl_pathc; i++) {
		json_t *root = json_load_file(files.gl_pathv[i], 0, NULL), *version;
		size_t k;

		json_array_foreach(json_object_get(root, "versions"), k, version) {
			json_t *number = json_object_get(version, "number");
			const char *code = json_string_value(json_object_get(number, "register"));

			if (code != NULL && !json_is_true(json_object_get(number, "given")))
				add_code(out, code);
		}
		json_decref(root);
	}
	globfree(&files);
}

static void agency_codes(const char *schemas, struct codes *out)
{
	char pattern[500];
	glob_t files;

	snprintf(pattern, sizeof(pattern), "%s/agencies/*.json", schemas);
	if (glob(pattern, 0, NULL, &files) != 0)
		return;
	for (size_t i = 0; i < files.gl_pathc; i++) {
		char *name = strrchr(files.gl_pathv[i], '/') + 1;

		name[strlen(name) - strlen(".json")] = '\0';
		add_code(out, name);
	}
	globfree(&files);
}

static enum status open_one(struct client *c, const char *unit, const char *code, struct error *e)
{
	Trien__V1__OpenRegisterRequest q = TRIEN__V1__OPEN_REGISTER_REQUEST__INIT;
	struct failure f;
	ProtobufCMessage *m;

	q.unit = (char *)unit;
	q.code = (char *)code;
	q.first = 1;
	q.reason = (char *)"load test";
	m = client_call(c, OPERATIONS "OpenRegister", &q.base, &trien__v1__register__descriptor,
			&f);
	if (m != NULL)
		protobuf_c_message_free_unpacked(m, NULL);
	else if (f.code != GRPC_STATUS_ALREADY_EXISTS)
		return error_set(e, ST_IO, "register %s %s: %s %s", unit, code, f.reason, f.en);
	return ST_OK;
}

enum status server_registers(const struct server *s, const struct client_options *o,
			     struct error *e)
{
	struct codes units = { .n = 0 }, codes = { .n = 0 };
	struct client *c = NULL;
	enum status st = client_open(&c, o, e);

	agency_codes(s->schemas, &units);
	register_codes(s->schemas, &codes);
	for (uint32_t u = 0; u < units.n && st == ST_OK; u++)
		for (uint32_t k = 0; k < codes.n && st == ST_OK; k++)
			st = open_one(c, units.of[u], codes.of[k], e);
	client_close(c);
	return st;
}

/* ---- its end ---- */

void server_stop(struct server *s)
{
	if (s->pid > 0 && kill(s->pid, SIGTERM) == 0)
		waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

/* Its children die with it. */
void server_kill(struct server *s)
{
	if (s->pid > 0 && kill(s->pid, SIGKILL) == 0)
		waitpid(s->pid, NULL, 0);
	s->pid = 0;
}
