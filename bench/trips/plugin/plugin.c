/* SPDX-License-Identifier: MIT */
/*
 * A plugin of QEMU's: counts where the payload that a guest receives is written, and what crosses the memory bus for it.
 *
 *     -plugin libszc-trips.so,out=FILE,llc=BYTES:LINE:WAYS:DEVICE-WAYS...,cipher=START-END...
 *
 * The guest says with markers (kernel/szcnic_trips.h) which processor receives, what its buffers are, and when to count.
 * Before the first SZC_MARK_WATCH nothing else is looked for, and the guest runs nearly as fast as ever. After it every load
 * and store comes here, if only to be let through: QEMU 7.2 does not survive that callbacks for memory are taken back.
 * Each SZC_MARK_STOP appends one line of JSON to FILE.
 *
 * What the receiver's processor does is the receiver's, kernel and user alike, but for the time that it works for the
 * device. The device's DMA happens on the sender's processor. `cipher` are ranges of kernel addresses.
 *
 * QEMU has to run all processors in one thread (-accel tcg,thread=single): nothing here is locked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/szcnic_trips.h"
#include "insn.h"
#include "qemu.h"
#include "trips.h"

enum {
	CPUS_MAX = 64,
	CIPHERS_MAX = 16,
};

/* Kernel addresses are the upper half. */
#define KERNEL_SPACE (UINT64_C(1) << 63)

/* What is known when it is translated, packed into the callback's pointer: an address, and below it how an instruction
 * stores, or how many instructions a block has. */
enum {
	STORE_BITS = 2,
	STORE_PUSH = 3, /* or enum llc_store */
	COUNT_BITS = 16,
};

struct code {
	uint64_t start, end;
};

struct cpu {
	bool device;
	bool dma;
	enum trips_actor writer; /* if dma */
};

static struct {
	qemu_plugin_id_t id;
	const char *path;
	struct trips trips;
	struct cpu cpus[CPUS_MAX];
	struct code ciphers[CIPHERS_MAX];
	unsigned nr_ciphers, nr_kernel_ciphers;
	bool looking;  /* every access is seen */
	bool watching; /* ... and not let through */
	unsigned receiver;
	int touching;       /* a mark, or 0 */
	uint64_t repeating; /* the receiver's last block, if it was a single instruction */
	struct code touched;
} self;

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);

static void fail(const char *what)
{
	fprintf(stderr, "szc-trips: %s\n", what);
	exit(1);
}

/* ---- what is written down */

static const char *const actor_names[TRIPS_ACTORS] = {"device",        "device_headers", "kernel",
						      "kernel_cipher", "user",           "user_cipher"};
static const char *const place_names[TRIPS_PLACES] = {"elsewhere", "area", "target", "inside"};

static void write_matrix(FILE *out, const char *name, uint64_t matrix[TRIPS_ACTORS][TRIPS_PLACES])
{
	fprintf(out, "\"%s\": {", name);
	for (int actor = 0; actor < TRIPS_ACTORS; actor++) {
		fprintf(out, "%s\"%s\": {", actor ? ", " : "", actor_names[actor]);
		for (int place = 0; place < TRIPS_PLACES; place++)
			fprintf(out, "%s\"%s\": %" PRIu64, place ? ", " : "", place_names[place], matrix[actor][place]);
		fputs("}", out);
	}
	fputs("}, ", out);
}

static void write_figures(void)
{
	struct trips *trips = &self.trips;
	FILE *out = fopen(self.path, "a");

	if (!out)
		fail("the file for the figures cannot be written");
	fputs("{", out);
	write_matrix(out, "loaded", trips->counts.loaded);
	write_matrix(out, "stored", trips->counts.stored);
	write_matrix(out, "in_place", trips->counts.in_place);
	fputs("\"instructions\": {", out);
	for (int actor = 0; actor < TRIPS_ACTORS; actor++)
		fprintf(out, "%s\"%s\": %" PRIu64, actor ? ", " : "", actor_names[actor],
			trips->counts.instructions[actor]);
	fprintf(out, "}, \"area_written\": %" PRIu64 ", \"caches\": [", trips->counts.area_written);
	for (unsigned i = 0; i < trips->nr_models; i++) {
		const struct trips_model *model = &trips->models[i];
		struct llc_bus cold = trips_cold(model), warm = trips_warm(model);

		fprintf(out,
			"%s{\"size\": %" PRIu64 ", \"line\": %u, \"ways\": %u, \"device_ways\": %u, "
			"\"cold\": {\"read\": %" PRIu64 ", \"written\": %" PRIu64 "}, "
			"\"warm\": {\"read\": %" PRIu64 ", \"written\": %" PRIu64 "}}",
			i ? ", " : "", model->shape.size, model->shape.line, model->shape.ways,
			model->shape.device_ways, cold.read, cold.written, warm.read, warm.written);
	}
	fputs("]}\n", out);
	if (fclose(out))
		fail("the file for the figures cannot be written");
}

/* ---- markers */

static void start_over(qemu_plugin_id_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
}

static void watch(unsigned cpu)
{
	trips_forget(&self.trips);
	self.nr_ciphers = self.nr_kernel_ciphers;
	self.receiver = cpu;
	self.touching = 0;
	self.watching = true;
	if (!self.looking)
		qemu_plugin_reset(self.id, start_over);
	self.looking = true;
}

static void touched(void)
{
	if (self.touching == SZC_MARK_CIPHER && self.touched.end) {
		if (self.nr_ciphers == CIPHERS_MAX)
			fail("too much code that ciphers");
		self.ciphers[self.nr_ciphers++] = self.touched;
	} else {
		trips_empty(&self.trips);
	}
	self.touching = 0;
}

static void on_marker(unsigned number, void *data)
{
	enum szc_mark mark = (enum szc_mark)(uintptr_t)data;
	struct cpu *cpu = &self.cpus[number];

	switch (mark) {
	case SZC_MARK_DEVICE:
	case SZC_MARK_DRIVER:
		cpu->device = mark == SZC_MARK_DEVICE;
		break;
	case SZC_MARK_DMA_HEADERS:
	case SZC_MARK_DMA_PAYLOAD:
		cpu->writer = mark == SZC_MARK_DMA_PAYLOAD ? TRIPS_DEVICE : TRIPS_DEVICE_HEADERS;
		cpu->dma = true;
		break;
	case SZC_MARK_DMA_END:
		cpu->dma = false;
		break;
	case SZC_MARK_WATCH:
		watch(number);
		break;
	case SZC_MARK_AREA:
	case SZC_MARK_TARGET:
	case SZC_MARK_INSIDE:
	case SZC_MARK_CIPHER:
		self.touching = (int)mark;
		self.touched = (struct code){0};
		break;
	case SZC_MARK_TOUCHED:
		touched();
		break;
	case SZC_MARK_RUN:
		trips_run(&self.trips);
		break;
	case SZC_MARK_STOP:
		trips_stop(&self.trips);
		write_figures();
		break;
	case SZC_MARK_UNWATCH:
		self.watching = false;
		break;
	case SZC_MARKS:
		break;
	}
}

/* ---- whose an instruction is */

static void *pack(uint64_t address, unsigned bits, uint64_t value)
{
	return (void *)(uintptr_t)(address << bits | value); // NOLINT(performance-no-int-to-ptr)
}

static uint64_t unpack(const void *data, unsigned bits)
{
	/* Addresses are signed, so to speak. */
	return (uint64_t)((int64_t)(uintptr_t)data >> bits);
}

static uint64_t packed(const void *data, unsigned bits)
{
	return (uintptr_t)data & ((UINT64_C(1) << bits) - 1);
}

static bool ciphers(uint64_t vaddr)
{
	for (unsigned i = 0; i < self.nr_ciphers; i++) {
		if (vaddr >= self.ciphers[i].start && vaddr < self.ciphers[i].end)
			return true;
	}
	return false;
}

static enum trips_actor actor_at(uint64_t vaddr)
{
	if (vaddr >= KERNEL_SPACE)
		return ciphers(vaddr) ? TRIPS_KERNEL_CIPHER : TRIPS_KERNEL;
	return ciphers(vaddr) ? TRIPS_USER_CIPHER : TRIPS_USER;
}

/* ---- accesses */

static void announce(uint64_t vaddr, uint64_t addr)
{
	static const enum trips_place places[SZC_MARKS] = {
		[SZC_MARK_AREA] = TRIPS_AREA, [SZC_MARK_TARGET] = TRIPS_TARGET, [SZC_MARK_INSIDE] = TRIPS_INSIDE};

	/* Page by page: whatever else the processor does meanwhile is not meant. */
	if (self.touched.end && vaddr != self.touched.end)
		return;
	if (!self.touched.end)
		self.touched.start = vaddr;
	self.touched.end = vaddr + TRIPS_PAGE;
	if (self.touching != SZC_MARK_CIPHER && !trips_announce(&self.trips, addr, places[self.touching]))
		fail("no memory");
}

static void on_access(unsigned number, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
	const struct cpu *cpu = &self.cpus[number];
	bool store = qemu_plugin_mem_is_store(info);
	uint64_t how = packed(data, STORE_BITS);
	struct qemu_plugin_hwaddr *place;
	enum trips_actor actor;
	uint64_t addr, len;

	if (!self.watching)
		return;
	if (number == self.receiver) {
		if (cpu->device || cpu->dma)
			return;
		actor = actor_at(unpack(data, STORE_BITS));
	} else {
		if (!cpu->dma || !store || how == STORE_PUSH)
			return;
		actor = cpu->writer;
	}
	place = qemu_plugin_get_hwaddr(info, vaddr);
	if (!place || qemu_plugin_hwaddr_is_io(place))
		return;
	addr = qemu_plugin_hwaddr_phys_addr(place);
	len = UINT64_C(1) << qemu_plugin_mem_size_shift(info);
	if (self.touching && number == self.receiver && !store && vaddr < KERNEL_SPACE)
		announce(vaddr, addr);
	if (store)
		trips_store(&self.trips, actor, addr, len, how == STORE_PUSH ? LLC_STORE_CACHED : (enum llc_store)how);
	else
		trips_load(&self.trips, actor, addr, len);
}

/* A block's instructions, when it begins: those behind one that faults are counted, too, which does not happen often. */
static void on_block(unsigned number, void *data)
{
	uint64_t at = unpack(data, COUNT_BITS), count = packed(data, COUNT_BITS);

	if (number != self.receiver || !self.trips.counting || self.cpus[number].device || self.cpus[number].dma)
		return;
	/* Each round of a repeated string instruction is a block of its own here, and one instruction to a processor. */
	if (count != 1 || self.repeating != at)
		self.trips.counts.instructions[actor_at(at)] += count;
	self.repeating = count == 1 ? at : 0;
}

/* ---- translation */

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const uint8_t *code = qemu_plugin_insn_data(insn);
		size_t size = qemu_plugin_insn_size(insn);
		int mark = insn_marker(code, size);
		uint64_t how = insn_pushes(code, size) ? STORE_PUSH : insn_store(code, size);

		if (mark >= 0)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker, QEMU_PLUGIN_CB_NO_REGS,
							       pack((uint64_t)mark, 0, 0));
		if (self.looking)
			qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
							 pack(qemu_plugin_insn_vaddr(insn), STORE_BITS, how));
	}
	if (self.looking)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS,
						     pack(qemu_plugin_tb_vaddr(tb), COUNT_BITS, count));
}

/* ---- beginning and end */

static void parse_argument(const char *argument)
{
	struct llc_shape shape;
	struct code code;

	if (!strncmp(argument, "out=", 4)) {
		self.path = strdup(argument + 4);
	} else if (sscanf(argument, "llc=%" SCNu64 ":%" SCNu32 ":%" SCNu32 ":%" SCNu32, &shape.size, &shape.line,
			  &shape.ways, &shape.device_ways) == 4) {
		if (!trips_add_model(&self.trips, &shape))
			fail("no such cache can be, or they are too many");
	} else if (sscanf(argument, "cipher=%" SCNx64 "-%" SCNx64, &code.start, &code.end) == 2) {
		if (self.nr_ciphers == CIPHERS_MAX)
			fail("too much code that ciphers");
		self.ciphers[self.nr_ciphers++] = code;
	} else {
		fail("it takes out=FILE, llc=BYTES:LINE:WAYS:DEVICE-WAYS and cipher=START-END");
	}
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	trips_end(&self.trips);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		parse_argument(argv[i]);
	if (strcmp(info->target_name, "x86_64") != 0 || !info->system_emulation || !self.path)
		fail("it wants qemu-system-x86_64, and out=FILE");
	if (info->system.max_vcpus > CPUS_MAX)
		fail("too many processors");
	self.id = id;
	self.nr_kernel_ciphers = self.nr_ciphers;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
	return 0;
}
