/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "bench/trips/plugin/insn.h"
#include "kernel/szcnic_trips.h"

static void markers(void **state)
{
	uint8_t code[] = {0x0f, 0x1f, 0x80, SZC_MARK_RUN, 0x43, 0x5a, 0x53};

	(void)state;
	assert_int_equal(insn_marker(code, sizeof(code)), SZC_MARK_RUN);
	assert_int_equal(insn_marker(code, sizeof(code) - 1), -1);
	for (size_t i = 0; i < sizeof(code); i++) {
		code[i] ^= 0x80;
		assert_int_equal(insn_marker(code, sizeof(code)), -1);
		code[i] ^= 0x80;
	}
	code[3] = SZC_MARKS;
	assert_int_equal(insn_marker(code, sizeof(code)), -1);
}

/* What the compiler makes of a mark is one. */
static void marked_by_the_compiler(void **state)
{
	const uint8_t *code;

	(void)state;
#ifdef __x86_64__
	asm volatile("lea 1f(%%rip), %0\n"
		     "1:\tnopl %c1(%%rax)"
		     : "=r"(code)
		     : "i"(SZC_MARK_MAGIC | SZC_MARK_STOP));
	assert_int_equal(insn_marker(code, 7), SZC_MARK_STOP);
#else
	(void)code;
	skip();
#endif
}

static void stores(void **state)
{
	static const struct {
		uint8_t code[8];
		uint8_t size;
		enum llc_store store;
	} cases[] = {
		{{0xf3, 0xa4}, 2, LLC_STORE_STRING},                       /* rep movsb */
		{{0xf3, 0x48, 0xa5}, 3, LLC_STORE_STRING},                 /* rep movsq */
		{{0xf3, 0xaa}, 2, LLC_STORE_STRING},                       /* rep stosb */
		{{0xf3, 0x48, 0xab}, 3, LLC_STORE_STRING},                 /* rep stosq */
		{{0x67, 0xf3, 0xa4}, 3, LLC_STORE_STRING},                 /* addr32 rep movsb */
		{{0xa4}, 1, LLC_STORE_CACHED},                             /* movsb */
		{{0xf3, 0xa6}, 2, LLC_STORE_CACHED},                       /* repe cmpsb */
		{{0xf3, 0x48, 0xac}, 3, LLC_STORE_CACHED},                 /* rep lodsb */
		{{0x48, 0x0f, 0xc3, 0x07}, 4, LLC_STORE_PAST},             /* movnti %rax, (%rdi) */
		{{0x66, 0x0f, 0xe7, 0x07}, 4, LLC_STORE_PAST},             /* movntdq %xmm0, (%rdi) */
		{{0x0f, 0x2b, 0x07}, 3, LLC_STORE_PAST},                   /* movntps %xmm0, (%rdi) */
		{{0xc5, 0xfd, 0xe7, 0x07}, 4, LLC_STORE_PAST},             /* vmovntdq %ymm0, (%rdi) */
		{{0xc4, 0xc1, 0x7d, 0xe7, 0x00}, 5, LLC_STORE_PAST},       /* vmovntdq %ymm0, (%r8) */
		{{0x62, 0xf1, 0x7d, 0x48, 0xe7, 0x07}, 6, LLC_STORE_PAST}, /* vmovntdq %zmm0, (%rdi) */
		{{0x66, 0x0f, 0x38, 0x2a, 0x07}, 5, LLC_STORE_CACHED},     /* movntdqa (%rdi), %xmm0 */
		{{0xc4, 0xe2, 0x7d, 0x2a, 0x07}, 5, LLC_STORE_CACHED},     /* vmovntdqa (%rdi), %ymm0 */
		{{0x66, 0x0f, 0x7f, 0x07}, 4, LLC_STORE_CACHED},           /* movdqa %xmm0, (%rdi) */
		{{0xf3, 0x0f, 0x7f, 0x07}, 4, LLC_STORE_CACHED},           /* movdqu %xmm0, (%rdi) */
		{{0x48, 0x89, 0x07}, 3, LLC_STORE_CACHED},                 /* mov %rax, (%rdi) */
		{{0xf3}, 1, LLC_STORE_CACHED},
		{{0x0f}, 1, LLC_STORE_CACHED},
		{{0xc4, 0xc1}, 2, LLC_STORE_CACHED},
		{{0}, 0, LLC_STORE_CACHED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(insn_store(cases[i].code, cases[i].size), cases[i].store);
}

static void pushes(void **state)
{
	static const struct {
		uint8_t code[8];
		uint8_t size;
		bool pushes;
	} cases[] = {
		{{0xe8, 1, 2, 3, 4}, 5, true},  /* call */
		{{0x55}, 1, true},              /* push %rbp */
		{{0x41, 0x57}, 2, true},        /* push %r15 */
		{{0x6a, 1}, 2, true},           /* push $1 */
		{{0x68, 1, 2, 3, 4}, 5, true},  /* push $... */
		{{0xff, 0xd0}, 2, true},        /* call *%rax */
		{{0xff, 0x30}, 2, true},        /* push (%rax) */
		{{0xff, 0x00}, 2, false},       /* incl (%rax) */
		{{0xff, 0xe0}, 2, false},       /* jmp *%rax */
		{{0x5d}, 1, false},             /* pop %rbp */
		{{0x48, 0x89, 0x07}, 3, false}, /* mov %rax, (%rdi) */
		{{0xff}, 1, false},
		{{0x66}, 1, false},
		{{0}, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(insn_pushes(cases[i].code, cases[i].size), cases[i].pushes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(markers),
		cmocka_unit_test(marked_by_the_compiler),
		cmocka_unit_test(stores),
		cmocka_unit_test(pushes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
