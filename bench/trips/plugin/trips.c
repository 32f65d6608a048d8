/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include "trips.h"

#define PLACE_WRITTEN 0x80

bool trips_add_model(struct trips *trips, const struct llc_shape *shape)
{
	struct trips_model *model = &trips->models[trips->nr_models];

	if (trips->nr_models == TRIPS_MODELS_MAX)
		return false;
	*model = (struct trips_model){.shape = *shape, .cold = llc_new(shape), .warm = llc_new(shape)};
	if (!model->cold || !model->warm) {
		llc_free(model->cold);
		llc_free(model->warm);
		return false;
	}
	trips->nr_models++;
	return true;
}

void trips_end(struct trips *trips)
{
	for (unsigned i = 0; i < trips->nr_models; i++) {
		llc_free(trips->models[i].cold);
		llc_free(trips->models[i].warm);
	}
	free(trips->places);
	*trips = (struct trips){0};
}

void trips_forget(struct trips *trips)
{
	if (trips->places)
		memset(trips->places, 0, trips->pages);
	trips_empty(trips);
	trips->counting = false;
}

void trips_empty(struct trips *trips)
{
	for (unsigned i = 0; i < trips->nr_models; i++) {
		llc_empty(trips->models[i].cold);
		llc_empty(trips->models[i].warm);
	}
}

bool trips_announce(struct trips *trips, uint64_t addr, enum trips_place place)
{
	uint64_t page = addr / TRIPS_PAGE;

	if (page >= trips->pages) {
		uint64_t pages = (page + 1) * 2;
		uint8_t *places = realloc(trips->places, pages);

		if (!places)
			return false;
		memset(places + trips->pages, 0, pages - trips->pages);
		trips->places = places;
		trips->pages = pages;
	}
	trips->places[page] = (uint8_t)place;
	return true;
}

static enum trips_place place_of(const struct trips *trips, uint64_t addr)
{
	uint64_t page = addr / TRIPS_PAGE;

	return page < trips->pages ? (enum trips_place)(trips->places[page] & ~PLACE_WRITTEN) : TRIPS_ELSEWHERE;
}

void trips_run(struct trips *trips)
{
	memset(&trips->counts, 0, sizeof(trips->counts));
	memset(trips->loaded_blocks, 0, sizeof(trips->loaded_blocks));
	for (uint64_t page = 0; page < trips->pages; page++)
		trips->places[page] &= (uint8_t)~PLACE_WRITTEN;
	for (unsigned i = 0; i < trips->nr_models; i++) {
		struct trips_model *model = &trips->models[i];

		llc_empty(model->cold);
		model->cold_before = llc_bus(model->cold);
		model->warm_before = llc_bus(model->warm);
		model->owed_before = llc_owed(model->warm);
	}
	trips->counting = true;
}

void trips_stop(struct trips *trips)
{
	trips->counting = false;
	for (unsigned i = 0; i < trips->nr_models; i++) {
		llc_clean(trips->models[i].cold);
		trips->models[i].owed = llc_owed(trips->models[i].warm);
	}
}

static bool is_cipher(enum trips_actor actor)
{
	return actor == TRIPS_KERNEL_CIPHER || actor == TRIPS_USER_CIPHER;
}

static void note_block(struct trips *trips, uint64_t addr)
{
	uint64_t *ways = trips->loaded_blocks[addr / TRIPS_BLOCK % TRIPS_BLOCKS];

	if (ways[0] == addr / TRIPS_BLOCK)
		return;
	memmove(ways + 1, ways, (TRIPS_BLOCK_WAYS - 1) * sizeof(*ways));
	ways[0] = addr / TRIPS_BLOCK;
}

static bool block_noted(const struct trips *trips, uint64_t addr)
{
	const uint64_t *ways = trips->loaded_blocks[addr / TRIPS_BLOCK % TRIPS_BLOCKS];

	for (int way = 0; way < TRIPS_BLOCK_WAYS; way++) {
		if (ways[way] == addr / TRIPS_BLOCK)
			return true;
	}
	return false;
}

void trips_load(struct trips *trips, enum trips_actor actor, uint64_t addr, uint64_t len)
{
	for (unsigned i = 0; i < trips->nr_models; i++) {
		llc_load(trips->models[i].warm, addr, len);
		if (trips->counting)
			llc_load(trips->models[i].cold, addr, len);
	}
	if (!trips->counting)
		return;
	trips->counts.loaded[actor][place_of(trips, addr)] += len;
	if (is_cipher(actor))
		note_block(trips, addr);
}

static void store(struct llc *llc, enum trips_actor actor, uint64_t addr, uint64_t len, enum llc_store how)
{
	if (actor == TRIPS_DEVICE || actor == TRIPS_DEVICE_HEADERS)
		llc_device_write(llc, addr, len);
	else
		llc_store(llc, addr, len, how);
}

static void note_area(struct trips *trips, uint64_t addr)
{
	uint8_t *place = &trips->places[addr / TRIPS_PAGE];

	if (!(*place & PLACE_WRITTEN))
		trips->counts.area_written += TRIPS_PAGE;
	*place |= PLACE_WRITTEN;
}

void trips_store(struct trips *trips, enum trips_actor actor, uint64_t addr, uint64_t len, enum llc_store how)
{
	for (unsigned i = 0; i < trips->nr_models; i++) {
		store(trips->models[i].warm, actor, addr, len, how);
		if (trips->counting)
			store(trips->models[i].cold, actor, addr, len, how);
	}
	if (!trips->counting)
		return;
	trips->counts.stored[actor][place_of(trips, addr)] += len;
	if (actor == TRIPS_DEVICE && place_of(trips, addr) == TRIPS_AREA)
		note_area(trips, addr);
	if (is_cipher(actor) && block_noted(trips, addr))
		trips->counts.in_place[actor][place_of(trips, addr)] += len;
}

static struct llc_bus since(struct llc_bus now, struct llc_bus before)
{
	return (struct llc_bus){now.read - before.read, now.written - before.written};
}

struct llc_bus trips_cold(const struct trips_model *model)
{
	return since(llc_bus(model->cold), model->cold_before);
}

struct llc_bus trips_warm(const struct trips_model *model)
{
	struct llc_bus bus = since(llc_bus(model->warm), model->warm_before);

	/* Never below 0: what it no longer owes it has written, or a device has, over it. */
	bus.written += model->owed - model->owed_before;
	return bus;
}
