/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include "llc.h"

struct line {
	uint64_t number; /* address / line size */
	uint64_t used;   /* when last, by llc->clock; 0: nothing is here */
	uint64_t have;   /* a bit for each byte that is here; the others are in memory only */
	bool dirty;
};

/* Bytes on their way to memory that are not in the cache: lines are put together before they leave. */
struct combiner {
	uint64_t number;
	uint64_t have; /* 0: empty */
};

enum past { PAST_STORES, PAST_DEVICE, PAST_COUNT };

struct llc {
	struct llc_shape shape;
	uint64_t sets, whole; /* `whole`: of a line, every bit of `have` */
	unsigned line_shift, set_bits;
	uint64_t clock;
	struct llc_bus bus;
	struct combiner past[PAST_COUNT];
	struct line *lines; /* [sets][ways] */
	struct line *last;  /* used last, or NULL */
};

static bool power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

struct llc *llc_new(const struct llc_shape *shape)
{
	uint64_t set_size = (uint64_t)shape->line * shape->ways;
	struct llc *llc;

	if (!power_of_two(shape->line) || shape->line > LLC_LINE_MAX || !shape->ways || shape->ways > LLC_WAYS_MAX ||
	    shape->device_ways > shape->ways || shape->size % set_size || !power_of_two(shape->size / set_size))
		return NULL;
	llc = calloc(1, sizeof(*llc));
	if (!llc)
		return NULL;
	llc->shape = *shape;
	llc->sets = shape->size / set_size;
	llc->whole = shape->line == 64 ? UINT64_MAX : (UINT64_C(1) << shape->line) - 1;
	llc->line_shift = (unsigned)__builtin_ctz(shape->line);
	llc->set_bits = (unsigned)__builtin_ctzll(llc->sets);
	llc->lines = calloc(llc->sets * shape->ways, sizeof(*llc->lines));
	if (!llc->lines) {
		free(llc);
		return NULL;
	}
	return llc;
}

void llc_free(struct llc *llc)
{
	if (!llc)
		return;
	free(llc->lines);
	free(llc);
}

/* ---- lines */

/*
 * Hashed, as by the hardware of today: the lines of a page are spread over all sets, evenly, so that it does not matter
 * which pages the kernel happens to give out.
 */
static struct line *set_of(struct llc *llc, uint64_t number)
{
	uint64_t set = llc->set_bits ? number * UINT64_C(0x9e3779b97f4a7c15) >> (64 - llc->set_bits) : 0;

	return &llc->lines[set * llc->shape.ways];
}

static struct line *find(struct llc *llc, uint64_t number)
{
	struct line *set;

	/* Accesses come in rows. */
	if (llc->last && llc->last->number == number && llc->last->used)
		return llc->last;
	set = set_of(llc, number);
	for (uint32_t way = 0; way < llc->shape.ways; way++) {
		if (set[way].number == number && set[way].used)
			return &set[way];
	}
	return NULL;
}

static void fetch(struct llc *llc, struct line *line)
{
	if (line->have == llc->whole)
		return;
	llc->bus.read += llc->shape.line;
	line->have = llc->whole;
}

static void write_back(struct llc *llc, struct line *line)
{
	if (!line->dirty)
		return;
	fetch(llc, line);
	llc->bus.written += llc->shape.line;
	line->dirty = false;
}

/* The line's place in the cache, among the first `ways` if it has none yet; its bytes are not fetched. */
static struct line *place(struct llc *llc, uint64_t number, uint32_t ways)
{
	struct line *line = find(llc, number), *set;

	if (!line) {
		set = set_of(llc, number);
		line = &set[0];
		for (uint32_t way = 1; way < ways; way++) {
			if (set[way].used < line->used)
				line = &set[way];
		}
		if (line->used)
			write_back(llc, line);
		*line = (struct line){.number = number};
	}
	line->used = ++llc->clock;
	llc->last = line;
	return line;
}

/* ---- past the cache */

static void combiner_flush(struct llc *llc, struct combiner *out)
{
	struct line *line;

	if (!out->have)
		return;
	line = find(llc, out->number);
	if (line) {
		if (out->have != llc->whole)
			write_back(llc, line);
		*line = (struct line){0};
	}
	llc->bus.written += llc->shape.line;
	out->have = 0;
}

static void combine(struct llc *llc, struct combiner *out, uint64_t number, uint64_t bytes)
{
	if (out->number != number)
		combiner_flush(llc, out);
	out->number = number;
	out->have |= bytes;
	if (out->have == llc->whole)
		combiner_flush(llc, out);
}

/* Before the cache is asked for a line. */
static void settle(struct llc *llc, uint64_t number)
{
	for (int i = 0; i < PAST_COUNT; i++) {
		if (llc->past[i].have && llc->past[i].number == number)
			combiner_flush(llc, &llc->past[i]);
	}
}

/* ---- what is done to one line */

static void load_line(struct llc *llc, uint64_t number, uint64_t bytes)
{
	struct line *line;

	settle(llc, number);
	line = place(llc, number, llc->shape.ways);
	if ((line->have & bytes) != bytes)
		fetch(llc, line);
}

static void store_line(struct llc *llc, uint64_t number, uint64_t bytes, enum llc_store how)
{
	struct line *line;

	if (how == LLC_STORE_PAST) {
		combine(llc, &llc->past[PAST_STORES], number, bytes);
		return;
	}
	settle(llc, number);
	line = place(llc, number, llc->shape.ways);
	if (how == LLC_STORE_CACHED)
		fetch(llc, line);
	line->have |= bytes;
	line->dirty = true;
}

static void device_line(struct llc *llc, uint64_t number, uint64_t bytes)
{
	struct line *line;

	if (!llc->shape.device_ways) {
		combine(llc, &llc->past[PAST_DEVICE], number, bytes);
		return;
	}
	settle(llc, number);
	line = place(llc, number, llc->shape.device_ways);
	line->have |= bytes;
	line->dirty = true;
}

/* ---- from bytes to lines */

/* Cuts the first line off [*addr, *addr + *len): its number, and a bit for each of its bytes that are meant. */
static uint64_t next_line(const struct llc *llc, uint64_t *addr, uint64_t *len, uint64_t *number)
{
	uint64_t offset = *addr & (llc->shape.line - 1);
	uint64_t part = llc->shape.line - offset < *len ? llc->shape.line - offset : *len;
	uint64_t bytes = part == 64 ? UINT64_MAX : ((UINT64_C(1) << part) - 1) << offset;

	*number = *addr >> llc->line_shift;
	*addr += part;
	*len -= part;
	return bytes;
}

void llc_load(struct llc *llc, uint64_t addr, uint64_t len)
{
	uint64_t number, bytes;

	while (len) {
		bytes = next_line(llc, &addr, &len, &number);
		load_line(llc, number, bytes);
	}
}

void llc_store(struct llc *llc, uint64_t addr, uint64_t len, enum llc_store how)
{
	uint64_t number, bytes;

	while (len) {
		bytes = next_line(llc, &addr, &len, &number);
		store_line(llc, number, bytes, how);
	}
}

void llc_device_write(struct llc *llc, uint64_t addr, uint64_t len)
{
	uint64_t number, bytes;

	while (len) {
		bytes = next_line(llc, &addr, &len, &number);
		device_line(llc, number, bytes);
	}
}

void llc_clean(struct llc *llc)
{
	for (int i = 0; i < PAST_COUNT; i++)
		combiner_flush(llc, &llc->past[i]);
	for (uint64_t i = 0; i < llc->sets * llc->shape.ways; i++)
		write_back(llc, &llc->lines[i]);
}

void llc_empty(struct llc *llc)
{
	memset(llc->lines, 0, llc->sets * llc->shape.ways * sizeof(*llc->lines));
	memset(llc->past, 0, sizeof(llc->past));
}

uint64_t llc_owed(const struct llc *llc)
{
	uint64_t dirty = 0;

	for (uint64_t i = 0; i < llc->sets * llc->shape.ways; i++)
		dirty += llc->lines[i].dirty;
	return dirty * llc->shape.line;
}

struct llc_bus llc_bus(const struct llc *llc)
{
	return llc->bus;
}
