/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <szc/rx.h>

int main(void)
{
	return printf("szc %s, %s\n", szc_version(), szc_strerror(SZC_E_TIMEOUT)) < 0;
}
