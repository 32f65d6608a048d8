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

static int keep_from_children(struct szc_area *area)
{
	int error = madvise(area->base, area->size, MADV_DONTFORK) ? -errno : 0;

	if (error)
		szc_area_unmap(area);
	return error;
}

int szc_area_map(struct szc_area *area, size_t size, enum szc_pages pages)
{
	int error;

	area->borrowed = false;
	if (pages == SZC_PAGES_PLAIN || (pages == SZC_PAGES_AUTO && size < HUGE_PAGE))
		error = map_plain(area, size);
	else
		error = map_huge(area, size);
	if (error && pages == SZC_PAGES_AUTO)
		error = map_transparent(area, size);
	return error ? error : keep_from_children(area);
}

int szc_area_map_dmabuf(struct szc_area *area, int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	void *base;

	if (size <= 0)
		return size ? -errno : -EINVAL;
	base = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	*area = (struct szc_area){.base = base, .size = (size_t)size, .pages = "a dma-buf"};
	return keep_from_children(area);
}

void szc_area_unmap(struct szc_area *area)
{
	if (area->base && !area->borrowed)
		munmap(area->base, area->size);
	area->base = NULL;
}
