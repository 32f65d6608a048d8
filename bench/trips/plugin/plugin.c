/* SPDX-License-Identifier: MIT */
/*
 * A plugin of QEMU's: counts where the payload that a guest receives is written, and what crosses the memory bus for it.
 *
 *     -plugin libszc-trips.so,out=FILE,llc=BYTES:LINE:WAYS:DEVICE-WAYS...,cipher=START-END...
 *
 * The guest says with markers (kernel/szcnic_trips.h) which processor receives, what its buffers are, and when to count.
 * Between SZC_MARK_WATCH and SZC_MARK_UNWATCH every load and store is seen; otherwise only markers are, and the guest runs
 * nearly as fast as ever. Each SZC_MARK_STOP appends one line of JSON to FILE.
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
#include "qemu.h"
#include "trips.h"

enum {
	CPUS_MAX = 64,
	CIPHERS_MAX = 16,
	MARKER_SIZE = 7,
	PREFIXES_MAX = 4,
};

/* Kernel addresses are the upper half. */
#define KERNEL_SPACE (UINT64_C(1) << 63)

/* What is known of an instruction when it is translated, packed into the callback's pointer. */
enum {
	INSN_STORE_MASK = 3, /* enum llc_store */
	INSN_ACTOR_SHIFT = 2,
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
	bool watching;
	unsigned receiver;
	int touching; /* a mark, or 0 */
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

static const char *const actor_names[TRIPS_ACTORS] = {"device", "device_headers", "kernel",
						      "kernel_cipher", "user", "user_cipher"};
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
	fputs("\"instructions\": {", out);
	for (int actor = 0; actor < TRIPS_ACTORS; actor++)
		fprintf(out, "%s\"%s\": %" PRIu64, actor ? ", " : "", actor_names[actor],
			trips->counts.instructions[actor]);
	fputs("}, \"caches\": [", out);
	for (unsigned i = 0; i < trips->nr_models; i++) {
		const struct trips_model *model = &trips->models[i];
		struct llc_bus cold = trips_cold(model), warm = trips_warm(model);

		fprintf(out,
			"%s{\"size\": %" PRIu64 ", \"line\": %u, \"ways\": %u, \"device_ways\": %u, "
			"\"cold\": {\"read\": %" PRIu64 ", \"written\": %" PRIu64 "}, "
			"\"warm\": {\"read\": %" PRIu64 ", \"written\": %" PRIu64 "}}",
			i ? ", " : "", model->shape.size, model->shape.line, model->shape.ways, model->shape.device_ways,
			cold.read, cold.written, warm.read, warm.written);
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
	if (!self.watching)
		qemu_plugin_reset(self.id, start_over);
	self.watching = true;
}

static void unwatch(void)
{
	if (self.watching)
		qemu_plugin_reset(self.id, start_over);
	self.watching = false;
}

static void touched(void)
{
	if (self.touching == SZC_MARK_CIPHER && self.touched.end) {
		if (self.nr_ciphers == CIPHERS_MAX)
			fail("too much code that ciphers");
		self.ciphers[self.nr_ciphers++] = self.touched;
		/* What was translated before knew nothing of it. */
		qemu_plugin_reset(self.id, start_over);
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
		unwatch();
		break;
	case SZC_MARKS:
		break;
	}
}

/* ---- accesses */

static void announce(uint64_t vaddr, uint64_t addr)
{
	static const enum trips_place places[SZC_MARKS] = {[SZC_MARK_AREA] = TRIPS_AREA,
							   [SZC_MARK_TARGET] = TRIPS_TARGET,
							   [SZC_MARK_INSIDE] = TRIPS_INSIDE};

	if (self.touching != SZC_MARK_CIPHER) {
		if (!trips_announce(&self.trips, addr, places[self.touching]))
			fail("no memory");
		return;
	}
	if (!self.touched.start || vaddr < self.touched.start)
		self.touched.start = vaddr;
	if (vaddr >= self.touched.end)
		self.touched.end = vaddr + 1;
}

static void on_access(unsigned number, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
	const struct cpu *cpu = &self.cpus[number];
	bool store = qemu_plugin_mem_is_store(info);
	struct qemu_plugin_hwaddr *place;
	uintptr_t insn = (uintptr_t)data;
	enum trips_actor actor = (enum trips_actor)(insn >> INSN_ACTOR_SHIFT);
	uint64_t addr, len;

	if (number == self.receiver) {
		if (cpu->device || cpu->dma)
			return;
	} else {
		if (!cpu->dma || !store)
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
		trips_store(&self.trips, actor, addr, len, (enum llc_store)(insn & INSN_STORE_MASK));
	else
		trips_load(&self.trips, actor, addr, len);
}

/* A block's instructions, when it begins: those behind one that faults are counted, too, which does not happen often. */
static void on_block(unsigned number, void *data)
{
	uintptr_t block = (uintptr_t)data;

	if (number != self.receiver || !self.trips.counting || self.cpus[number].device || self.cpus[number].dma)
		return;
	self.trips.counts.instructions[block % TRIPS_ACTORS] += block / TRIPS_ACTORS;
}

/* ---- translation */

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

/* A mark, or -1. */
static int marker_in(const uint8_t *code, size_t size)
{
	uint32_t displacement;

	if (size != MARKER_SIZE || code[0] != 0x0f || code[1] != 0x1f || code[2] != 0x80)
		return -1;
	memcpy(&displacement, code + 3, sizeof(displacement));
	if ((displacement & ~0xffu) != SZC_MARK_MAGIC || (displacement & 0xff) >= SZC_MARKS)
		return -1;
	return (int)(displacement & 0xff);
}

static bool moves_past_the_cache(uint8_t map, uint8_t opcode)
{
	/* 0F 2B MOVNTPS/PD, 0F C3 MOVNTI, 0F E7 MOVNTQ/DQ. MOVNTDQA (0F 38 2A) loads. */
	return map == 1 && (opcode == 0x2b || opcode == 0xc3 || opcode == 0xe7);
}

/* How an instruction stores, by its prefixes and opcode (Intel's manual, volume 2, 2.1 and 2.3). */
static enum llc_store store_of(const uint8_t *code, size_t size)
{
	bool repeated = false;
	size_t at = 0;

	for (; at < size && at < PREFIXES_MAX; at++) {
		if (code[at] == 0xf3 || code[at] == 0xf2)
			repeated = true;
		else if (code[at] != 0x66 && code[at] != 0x67 && (code[at] & 0xf0) != 0x40)
			break;
	}
	if (at + 1 >= size)
		return repeated && at < size && (code[at] & 0xfe) != 0 &&
				       ((code[at] & 0xfe) == 0xa4 || (code[at] & 0xfe) == 0xaa)
			       ? LLC_STORE_STRING
			       : LLC_STORE_CACHED;
	if (code[at] == 0x0f)
		return moves_past_the_cache(1, code[at + 1]) ? LLC_STORE_PAST : LLC_STORE_CACHED;
	if (code[at] == 0xc5 && at + 2 < size) /* VEX of two bytes: map 0F */
		return moves_past_the_cache(1, code[at + 2]) ? LLC_STORE_PAST : LLC_STORE_CACHED;
	if (code[at] == 0xc4 && at + 3 < size) /* VEX of three */
		return moves_past_the_cache(code[at + 1] & 0x1f, code[at + 3]) ? LLC_STORE_PAST : LLC_STORE_CACHED;
	return LLC_STORE_CACHED;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);
	uintptr_t actor = actor_at(qemu_plugin_tb_vaddr(tb));

	(void)id;
	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const uint8_t *code = qemu_plugin_insn_data(insn);
		size_t size = qemu_plugin_insn_size(insn);
		int mark = marker_in(code, size);

		if (mark >= 0)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker, QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)mark); // NOLINT(performance-no-int-to-ptr)
		if (!self.watching)
			continue;
		qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
						 (void *)(actor << INSN_ACTOR_SHIFT | store_of(code, size))); // NOLINT
	}
	if (self.watching)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS,
						     (void *)(count * TRIPS_ACTORS + actor)); // NOLINT
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
