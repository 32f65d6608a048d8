/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>
#include "szc-nic-render.h"
#include "szc-nic-units.h"

static const char *const splits[] = {
	[SZC_NIC_SPLIT_UNKNOWN] = "unknown", [SZC_NIC_SPLIT_OFF] = "off", [SZC_NIC_SPLIT_ON] = "on"};

static const char *const memories[] = {
	[SZC_NIC_MEMORY_POOL] = "pool",
	[SZC_NIC_MEMORY_IO_URING] = "io_uring",
	[SZC_NIC_MEMORY_DMABUF] = "dmabuf",
	[SZC_NIC_MEMORY_XSK] = "af_xdp",
};

/* ------------------------------------------------------------------------------------------------ lines */

static void render_wire(FILE *file, const struct szc_nic_wire *wire)
{
	char text[UNITS_TEXT];

	fprintf(file, "  wire       rate %s", wire->rate ? units_rate(text, wire->rate) : "unlimited");
	fprintf(file, ", delay %s", units_time(text, wire->delay));
	fprintf(file, ", loss %s", units_share(text, wire->loss));
	fprintf(file, ", reorder %s", units_share(text, wire->reorder));
	fprintf(file, ", duplicate %s", units_share(text, wire->duplicate));
	fprintf(file, ", corrupt %s\n", units_share(text, wire->corrupt));
}

void render_info(FILE *file, const struct szc_nic_info *info)
{
	fprintf(file, "%s%s%s%s: %s, %u receive queue%s of at most %u\n", info->ifname, *info->kind ? " (" : "",
		info->kind, *info->kind ? ")" : "", info->up ? "up" : "down", info->rx_queues,
		info->rx_queues == 1 ? "" : "s", info->rx_queues_max);
	fprintf(file, "  split      %s", splits[info->split]);
	if (info->split_threshold != SZC_NIC_UNKNOWN)
		fprintf(file, ", threshold %" PRIu64, info->split_threshold);
	fputc('\n', file);
	if (info->rx_ring) {
		fprintf(file, "  rx ring    %u of at most %u", info->rx_ring, info->rx_ring_max);
		if (info->rx_ring_payload)
			fprintf(file, ", and %u for payload", info->rx_ring_payload);
		fputc('\n', file);
	}
	if (info->rss_entries)
		fprintf(file, "  RSS table  %u entries\n", info->rss_entries);
	if (info->rule_slots)
		fprintf(file, "  rules      %zu of at most %u\n", info->rules, info->rule_slots);
	if (info->wire.set)
		render_wire(file, &info->wire);
}

static void counter(FILE *file, const char *name, uint64_t value)
{
	if (value != SZC_NIC_UNKNOWN)
		fprintf(file, ", %s %" PRIu64, name, value);
}

void render_queue(FILE *file, const struct szc_nic *nic, const struct szc_nic_queue *queue)
{
	const struct szc_nic_rule *rule;

	fprintf(file, "  queue %-4u napi %u, ", queue->id, queue->napi_id);
	switch (queue->memory) {
	case SZC_NIC_MEMORY_IO_URING:
		fprintf(file, "held by io_uring (buffers of %" PRIu64 " bytes)", queue->rx_buf_len);
		break;
	case SZC_NIC_MEMORY_DMABUF:
		fprintf(file, "held by dmabuf %" PRIu64, queue->dmabuf_id);
		break;
	case SZC_NIC_MEMORY_XSK:
		fputs("held by AF_XDP", file);
		break;
	default:
		fputs("free", file);
	}
	if (queue->pools)
		fprintf(file, ", %u pool%s with %" PRIu64 " KiB in flight", queue->pools, queue->pools == 1 ? "" : "s",
			queue->pool_bytes / 1024);
	fputs(queue->in_rss ? ", in RSS" : ", not in RSS", file);
	for (size_t i = 0; i < queue->context_count; i++)
		fprintf(file, ", in RSS context %u", queue->contexts[i]);
	for (size_t i = 0; nic && (rule = szc_nic_rule(nic, i)); i++)
		if (rule->queue == (int)queue->id)
			fprintf(file, ", rule %u", rule->slot);
	counter(file, "packets", queue->rx_packets);
	counter(file, "bytes", queue->rx_bytes);
	counter(file, "allocation failures", queue->rx_alloc_fail);
	counter(file, "drops", queue->rx_hw_drops);
	counter(file, "overruns", queue->rx_hw_drop_overruns);
	counter(file, "bad checksums", queue->rx_csum_bad);
	fputc('\n', file);
}

void render_rule(FILE *file, const struct szc_nic_rule *rule)
{
	fprintf(file, "  rule %-5u %s%s\n", rule->slot, rule->text, rule->ours ? " (by szc)" : "");
}

void render_change(FILE *file, const struct szc_nic_change *change)
{
	if (change->note && !strcmp(change->before, change->after))
		fprintf(file, "%s: %s, %s\n", change->what, change->after, change->note);
	else
		fprintf(file, "%s: %s -> %s%s%s\n", change->what, change->before, change->after,
			change->note ? ", " : "", change->note ? change->note : "");
}

/* ------------------------------------------------------------------------------------------------ JSON */

static json_t *figure(uint64_t value)
{
	return value == SZC_NIC_UNKNOWN ? json_null() : json_integer((json_int_t)value);
}

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *wire_json(const struct szc_nic_wire *wire)
{
	if (!wire->set)
		return json_null();
	return json_pack("{s:I, s:I, s:f, s:f, s:f, s:f}", "rate", (json_int_t)wire->rate, "delay_ns",
			 (json_int_t)wire->delay, "loss", wire->loss / 1e6, "reorder", wire->reorder / 1e6, "duplicate",
			 wire->duplicate / 1e6, "corrupt", wire->corrupt / 1e6);
}

json_t *render_info_json(const struct szc_nic_info *info)
{
	return json_pack("{s:s, s:I, s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:I, s:I, s:o}", "ifname",
			 info->ifname, "ifindex", (json_int_t)info->ifindex, "kind", text_or_null(info->kind), "up",
			 (int)info->up, "rx_queues", (json_int_t)info->rx_queues, "rx_queues_max",
			 (json_int_t)info->rx_queues_max, "rx_ring", (json_int_t)info->rx_ring, "rx_ring_max",
			 (json_int_t)info->rx_ring_max, "rx_ring_payload", (json_int_t)info->rx_ring_payload, "split",
			 splits[info->split], "split_threshold", figure(info->split_threshold), "rss_entries",
			 (json_int_t)info->rss_entries, "rule_slots", (json_int_t)info->rule_slots, "wire",
			 wire_json(&info->wire));
}

json_t *render_queue_json(const struct szc_nic_queue *queue)
{
	json_t *contexts = json_array();

	for (size_t i = 0; contexts && i < queue->context_count; i++)
		json_array_append_new(contexts, json_integer((json_int_t)queue->contexts[i]));
	return json_pack("{s:I, s:I, s:s, s:o, s:o, s:I, s:I, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
			 (json_int_t)queue->id, "napi_id", (json_int_t)queue->napi_id, "memory",
			 memories[queue->memory], "rx_buf_len", figure(queue->rx_buf_len), "dmabuf_id",
			 figure(queue->dmabuf_id), "pools", (json_int_t)queue->pools, "pool_bytes",
			 (json_int_t)queue->pool_bytes, "in_rss", (int)queue->in_rss, "contexts", contexts,
			 "rx_packets", figure(queue->rx_packets), "rx_bytes", figure(queue->rx_bytes), "rx_alloc_fail",
			 figure(queue->rx_alloc_fail), "rx_hw_drops", figure(queue->rx_hw_drops), "rx_hw_drop_overruns",
			 figure(queue->rx_hw_drop_overruns), "rx_csum_bad", figure(queue->rx_csum_bad));
}

json_t *render_rule_json(const struct szc_nic_rule *rule)
{
	return json_pack("{s:I, s:s, s:o, s:o, s:b}", "slot", (json_int_t)rule->slot, "rule", rule->text, "queue",
			 rule->queue < 0 ? json_null() : json_integer(rule->queue), "context",
			 rule->context < 0 ? json_null() : json_integer(rule->context), "ours", (int)rule->ours);
}

json_t *render_change_json(const struct szc_nic_change *change)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:I, s:i}", "what", change->what, "before", change->before, "after",
			 change->after, "note", text_or_null(change->note), "queue", (json_int_t)change->queue,
			 "process", change->holder);
}
