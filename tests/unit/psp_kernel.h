/* SPDX-License-Identifier: MIT */
/*
 * A kernel that does PSP, for one test program, in place of psp/family.c: it hands out keys, seals nothing, and refuses what
 * the test likes. What sealing keeps from a man in the middle is not kept from him here.
 */
#ifndef SZC_TESTS_PSP_KERNEL_H
#define SZC_TESTS_PSP_KERNEL_H

#include <string.h>
#include "psp/family.h"
#include "psp/message.h"

static struct kernel {
	int no_family, no_device;
	int receive_fails, send_fails; /* the errno of the call with that number, counted from 1 by ..._at */
	int receive_at, send_at, receives, sends;
	uint32_t capable, enabled;
	int rotations;
	struct szc_psp_key made[32];
	int made_count;
	struct szc_psp_key used[32];
} kernel;

int szc_psp_open(struct szc_psp *psp)
{
	(void)psp;
	return kernel.no_family;
}

void szc_psp_close(struct szc_psp *psp)
{
	(void)psp;
}

int szc_psp_device(struct szc_psp *psp, uint32_t ifindex, struct szc_psp_device *device)
{
	(void)psp;
	assert_int_not_equal(ifindex, 0);
	*device = (struct szc_psp_device){
		.id = 7, .ifindex = ifindex, .capable = kernel.capable, .enabled = kernel.enabled};
	return kernel.no_device;
}

int szc_psp_listen(struct szc_psp *psp)
{
	(void)psp;
	return kernel.no_family;
}

/* Each configuration hears of each: both ends have their own. */
int szc_psp_rotated(struct szc_psp *psp, void (*each)(uint32_t device, void *arg), void *arg)
{
	for (; psp->family < kernel.rotations; psp->family++)
		each(7, arg);
	return 0;
}

int szc_psp_enable(struct szc_psp *psp, uint32_t device, uint32_t versions)
{
	(void)psp;
	assert_int_equal(device, 7);
	kernel.enabled = versions;
	return 0;
}

int szc_psp_receive_key(struct szc_psp *psp, int fd, uint32_t device, enum szc_psp_version version,
			struct szc_psp_key *key)
{
	(void)psp;
	(void)fd;
	assert_int_equal(device, 7);
	*key = (struct szc_psp_key){.spi = 0x80000001 + (uint32_t)kernel.receives, .size = szc_psp_key_size(version)};
	memset(key->key, 0x50 + kernel.receives, key->size);
	if (++kernel.receives == kernel.receive_at)
		return kernel.receive_fails;
	assert_true(kernel.made_count < 32);
	kernel.made[kernel.made_count++] = *key;
	return 0;
}

int szc_psp_send_key(struct szc_psp *psp, int fd, uint32_t device, enum szc_psp_version version,
		     const struct szc_psp_key *key)
{
	(void)psp;
	(void)fd;
	(void)version;
	assert_int_equal(device, 7);
	if (++kernel.sends == kernel.send_at)
		return kernel.send_fails;
	assert_true(kernel.sends <= 32);
	kernel.used[kernel.sends - 1] = *key;
	return 0;
}

static int fresh_kernel(void **state)
{
	(void)state;
	kernel = (struct kernel){.capable = 15, .enabled = 3};
	return 0;
}

#endif
