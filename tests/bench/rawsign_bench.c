/*
 * rawsign_bench ALGORITHM THREADS MILLISECONDS - what the processor can sign and nothing else: the
 * denominator of the whole engine's ratios. Prints signatures per second of all threads together.
 */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 64

struct hand {
	pthread_t thread;
	EVP_PKEY *key;
	const atomic_bool *stop;
	uint64_t signatures;
};

static EVP_PKEY *key_make(const char *algorithm)
{
	if (strcmp(algorithm, "rsa2048") == 0)
		return EVP_RSA_gen(2048);
	if (strcmp(algorithm, "rsa3072") == 0)
		return EVP_RSA_gen(3072);
	return strcmp(algorithm, "p256") == 0 ? EVP_EC_gen("P-256") : NULL;
}

/* As the signer does it: one context a thread, a digest in, a signature out. */
static void *sign_main(void *arg)
{
	struct hand *h = arg;
	EVP_PKEY *key = EVP_PKEY_dup(h->key);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	unsigned char digest[32] = { 1 }, value[512];

	if (ctx == NULL || EVP_PKEY_sign_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) <= 0)
		abort();
	while (!atomic_load_explicit(h->stop, memory_order_relaxed)) {
		size_t n = sizeof(value);

		if (EVP_PKEY_sign(ctx, value, &n, digest, sizeof(digest)) <= 0)
			abort();
		memcpy(digest, value + 8, 8);
		h->signatures++;
	}
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return NULL;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct hand hands[THREADS_MAX];
	atomic_bool stop = false;
	int threads = argc > 2 ? atoi(argv[2]) : 0;
	long ms = argc > 3 ? atol(argv[3]) : 0;
	EVP_PKEY *key = argc > 1 ? key_make(argv[1]) : NULL;
	uint64_t all = 0;
	double begin;

	if (key == NULL || threads < 1 || threads > THREADS_MAX || ms < 1) {
		fprintf(stderr, "rawsign_bench rsa2048|rsa3072|p256 THREADS MILLISECONDS\n");
		return 2;
	}
	begin = now_s();
	for (int i = 0; i < threads; i++) {
		hands[i] = (struct hand){ .key = key, .stop = &stop };
		if (pthread_create(&hands[i].thread, NULL, sign_main, &hands[i]) != 0)
			return 1;
	}
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
	atomic_store(&stop, true);
	for (int i = 0; i < threads; i++) {
		pthread_join(hands[i].thread, NULL);
		all += hands[i].signatures;
	}
	printf("%.1f\n", (double)all / (now_s() - begin));
	EVP_PKEY_free(key);
	return 0;
}
