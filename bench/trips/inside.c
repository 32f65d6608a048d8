/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <openssl/crypto.h>
#include "receiver.h"

enum {
	ARENA = 8 << 20,
	LARGE = 8 << 10,
	ALIGNMENT = 4096,
};

/* Never given back: a connection has a handful. */
static unsigned char *arena;
static size_t used;

static bool of_arena(const void *memory)
{
	return arena && (const unsigned char *)memory >= arena && (const unsigned char *)memory < arena + ARENA;
}

static void *inside_malloc(size_t size, const char *file, int line)
{
	void *memory;

	(void)file;
	(void)line;
	if (size < LARGE || ARENA - used < size + ALIGNMENT)
		return malloc(size);
	memory = arena + used;
	used += (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	return memory;
}

static void inside_free(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	if (!of_arena(memory))
		free(memory);
}

static void *inside_realloc(void *memory, size_t size, const char *file, int line)
{
	size_t behind;
	void *grown;

	if (!of_arena(memory))
		return realloc(memory, size);
	grown = inside_malloc(size, file, line);
	/* How long it was nobody knows; what lies behind it is the arena's, too. */
	behind = (size_t)(arena + ARENA - (unsigned char *)memory);
	if (grown)
		memmove(grown, memory, size < behind ? size : behind);
	return grown;
}

int inside_set_up(void)
{
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (arena == MAP_FAILED)
		return complain("memory for OpenSSL");
	if (!CRYPTO_set_mem_functions(inside_malloc, inside_realloc, inside_free))
		return complain_ssl("OpenSSL has allocated already");
	return 0;
}

void inside_memory(const void **memory, size_t *size)
{
	*memory = arena;
	*size = ARENA;
}
