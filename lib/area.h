/* SPDX-License-Identifier: MIT */
/* The area: one mapping that the backend fills. Kept out of children by MADV_DONTFORK: a fork must neither copy what a
 * device writes nor keep a NIC's queue alive. */
#ifndef SZC_LIB_AREA_H
#define SZC_LIB_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <szc/rx.h>

struct szc_area {
	uint8_t *base;
	size_t size;       /* as mapped: rounded up to the page size in use */
	const char *pages; /* what kind of pages it has: "2 MiB huge pages", ... */
	bool borrowed;     /* another engine's: not to be unmapped */
};

/* Maps at least `size` bytes, zeroed. 0 or a negative errno; -ENOMEM also when huge pages were asked for and none are
 * reserved. */
int szc_area_map(struct szc_area *area, size_t size, enum szc_pages pages);
/* Maps a dma-buf, all of it, for reading. 0 or a negative errno. */
int szc_area_map_dmabuf(struct szc_area *area, int fd);
void szc_area_unmap(struct szc_area *area);

#endif
