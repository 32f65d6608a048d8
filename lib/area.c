/* SPDX-License-Identifier: MIT */
#include "area.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 << 20 };

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) & ~(unit - 1);
}

static uint8_t *map_anonymous(size_t size, int flags)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return base == MAP_FAILED ? NULL : base;
}

/* A transparent huge page needs its address aligned: map one more, cut off both ends. */
static uint8_t *map_aligned(size_t size)
{
	uint8_t *raw = map_anonymous(size + HUGE_PAGE, 0);
	size_t before;

	if (!raw)
		return NULL;
	before = round_up((uintptr_t)raw, HUGE_PAGE) - (uintptr_t)raw;
	if (before)
		munmap(raw, before);
	munmap(raw + before + size, HUGE_PAGE - before);
	return raw + before;
}

static int map_huge(struct szc_area *area, size_t size)
{
	area->size = round_up(size, HUGE_PAGE);
	area->base = map_anonymous(area->size, MAP_HUGETLB);
	area->pages = "2 MiB huge pages";
	return area->base ? 0 : -errno;
}

static int map_transparent(struct szc_area *area, size_t size)
{
	area->size = round_up(size, HUGE_PAGE);
	area->base = map_aligned(area->size);
	area->pages = "transparent huge pages";
	if (!area->base)
		return -errno;
	if (madvise(area->base, area->size, MADV_HUGEPAGE))
		area->pages = "plain pages (this kernel has no transparent huge pages)";
	return 0;
}

static int map_plain(struct szc_area *area, size_t size)
{
	area->size = round_up(size, (size_t)sysconf(_SC_PAGESIZE));
	area->base = map_anonymous(area->size, 0);
	area->pages = "plain pages";
	return area->base ? 0 : -errno;
}

int szc_area_map(struct szc_area *area, size_t size, enum szc_pages pages)
{
	int error;

	if (pages == SZC_PAGES_PLAIN || (pages == SZC_PAGES_AUTO && size < HUGE_PAGE))
		error = map_plain(area, size);
	else
		error = map_huge(area, size);
	if (error && pages == SZC_PAGES_AUTO)
		error = map_transparent(area, size);
	if (error)
		return error;
	if (madvise(area->base, area->size, MADV_DONTFORK)) {
		error = -errno;
		szc_area_unmap(area);
	}
	return error;
}

void szc_area_unmap(struct szc_area *area)
{
	if (area->base)
		munmap(area->base, area->size);
	area->base = NULL;
}
