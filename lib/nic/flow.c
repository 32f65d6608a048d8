/* SPDX-License-Identifier: MIT */
/* What a rule says: made, compared, told and parsed. */
#include "rules.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	QUEUES_MAX = 1 << 16,
	ENDPOINT = INET6_ADDRSTRLEN + 16,
};

static const struct {
	uint32_t type;
	bool v6;
	const char *name;
} types[] = {
	{TCP_V4_FLOW, false, "tcp4"}, {TCP_V6_FLOW, true, "tcp6"},    {UDP_V4_FLOW, false, "udp4"},
	{UDP_V6_FLOW, true, "udp6"},  {SCTP_V4_FLOW, false, "sctp4"}, {SCTP_V6_FLOW, true, "sctp6"},
};

/* ------------------------------------------------------------------------------------------------ made */

static void fill_v4(struct ethtool_rx_flow_spec *spec, const struct szc_nic_flow *flow)
{
	struct ethtool_tcpip4_spec *value = &spec->h_u.tcp_ip4_spec, *mask = &spec->m_u.tcp_ip4_spec;

	spec->flow_type = TCP_V4_FLOW;
	value->pdst = htons(flow->port);
	mask->pdst = UINT16_MAX;
	value->psrc = htons(flow->peer_port);
	mask->psrc = flow->peer_port ? UINT16_MAX : 0;
	if (flow->local) {
		value->ip4dst = ((const struct sockaddr_in *)flow->local)->sin_addr.s_addr;
		mask->ip4dst = UINT32_MAX;
	}
	if (flow->peer) {
		value->ip4src = ((const struct sockaddr_in *)flow->peer)->sin_addr.s_addr;
		mask->ip4src = UINT32_MAX;
	}
}

static void fill_v6(struct ethtool_rx_flow_spec *spec, const struct szc_nic_flow *flow)
{
	struct ethtool_tcpip6_spec *value = &spec->h_u.tcp_ip6_spec, *mask = &spec->m_u.tcp_ip6_spec;

	spec->flow_type = TCP_V6_FLOW;
	value->pdst = htons(flow->port);
	mask->pdst = UINT16_MAX;
	value->psrc = htons(flow->peer_port);
	mask->psrc = flow->peer_port ? UINT16_MAX : 0;
	if (flow->local) {
		memcpy(value->ip6dst, &((const struct sockaddr_in6 *)flow->local)->sin6_addr, sizeof(value->ip6dst));
		memset(mask->ip6dst, 0xff, sizeof(mask->ip6dst));
	}
	if (flow->peer) {
		memcpy(value->ip6src, &((const struct sockaddr_in6 *)flow->peer)->sin6_addr, sizeof(value->ip6src));
		memset(mask->ip6src, 0xff, sizeof(mask->ip6src));
	}
}

bool szc_nic_filter_make(struct szc_nic_filter *filter, const struct szc_nic_flow *flow, unsigned queue)
{
	memset(filter, 0, sizeof(*filter));
	if (!flow->port || queue >= QUEUES_MAX || (flow->local && flow->local->sa_family != flow->family) ||
	    (flow->peer && flow->peer->sa_family != flow->family))
		return false;
	if (flow->family == AF_INET)
		fill_v4(&filter->spec, flow);
	else if (flow->family == AF_INET6)
		fill_v6(&filter->spec, flow);
	else
		return false;
	filter->spec.ring_cookie = queue;
	return true;
}

/* ------------------------------------------------------------------------------------------------ compared */

bool szc_nic_filter_matches_same(const struct szc_nic_filter *a, const struct szc_nic_filter *b)
{
	const struct ethtool_rx_flow_spec *x = &a->spec, *y = &b->spec;

	if ((x->flow_type & ~FLOW_RSS) != (y->flow_type & ~FLOW_RSS))
		return false;
	if (memcmp(x->m_u.hdata, y->m_u.hdata, sizeof(x->m_u.hdata)) != 0)
		return false;
	/* What the mask leaves out, drivers keep or clear as they like. */
	for (size_t i = 0; i < sizeof(x->h_u.hdata); i++)
		if ((x->h_u.hdata[i] ^ y->h_u.hdata[i]) & x->m_u.hdata[i])
			return false;
	if (!(x->flow_type & (FLOW_EXT | FLOW_MAC_EXT)))
		return true;
	return !memcmp(&x->h_ext, &y->h_ext, sizeof(x->h_ext)) && !memcmp(&x->m_ext, &y->m_ext, sizeof(x->m_ext));
}

bool szc_nic_filter_same(const struct szc_nic_filter *a, const struct szc_nic_filter *b)
{
	return szc_nic_filter_matches_same(a, b) && a->spec.flow_type == b->spec.flow_type &&
	       a->spec.ring_cookie == b->spec.ring_cookie && a->context == b->context;
}

int szc_nic_filter_context(const struct szc_nic_filter *filter)
{
	return filter->spec.flow_type & FLOW_RSS ? (int)filter->context : -1;
}

int szc_nic_filter_queue(const struct szc_nic_filter *filter)
{
	/* A context adds the queue of its table; a virtual function has queues of its own. */
	if (filter->spec.flow_type & FLOW_RSS || filter->spec.ring_cookie > ETHTOOL_RX_FLOW_SPEC_RING)
		return -1;
	return (int)filter->spec.ring_cookie;
}

/* ------------------------------------------------------------------------------------------------ told */

static bool all(const void *data, size_t size, unsigned char byte)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		if (bytes[i] != byte)
			return false;
	return true;
}

static void address_text(char *text, int family, const void *value, const void *mask, size_t size)
{
	char shown[INET6_ADDRSTRLEN], masked[INET6_ADDRSTRLEN];
	bool v6 = family == AF_INET6;

	if (all(mask, size, 0)) {
		sprintf(text, "*");
		return;
	}
	inet_ntop(family, value, shown, sizeof(shown));
	inet_ntop(family, mask, masked, sizeof(masked));
	if (all(mask, size, 0xff))
		sprintf(text, v6 ? "[%s]" : "%s", shown);
	else
		sprintf(text, v6 ? "[%s/%s]" : "%s/%s", shown, masked);
}

static void port_text(char *text, uint16_t value, uint16_t mask)
{
	if (!mask)
		sprintf(text, ":*");
	else if (mask == UINT16_MAX)
		sprintf(text, ":%u", ntohs(value));
	else
		sprintf(text, ":%u/0x%x", ntohs(value), ntohs(mask));
}

static int match_v4(const struct ethtool_rx_flow_spec *spec, char *text, size_t size)
{
	const struct ethtool_tcpip4_spec *value = &spec->h_u.tcp_ip4_spec, *mask = &spec->m_u.tcp_ip4_spec;
	char peer[2 * INET6_ADDRSTRLEN + 4], local[2 * INET6_ADDRSTRLEN + 4], from[16], to[16];

	address_text(peer, AF_INET, &value->ip4src, &mask->ip4src, 4);
	address_text(local, AF_INET, &value->ip4dst, &mask->ip4dst, 4);
	port_text(from, value->psrc, mask->psrc);
	port_text(to, value->pdst, mask->pdst);
	return snprintf(text, size, "%s%s %s%s%s", peer, from, local, to, mask->tos ? " tos" : "");
}

static int match_v6(const struct ethtool_rx_flow_spec *spec, char *text, size_t size)
{
	const struct ethtool_tcpip6_spec *value = &spec->h_u.tcp_ip6_spec, *mask = &spec->m_u.tcp_ip6_spec;
	char peer[2 * INET6_ADDRSTRLEN + 4], local[2 * INET6_ADDRSTRLEN + 4], from[16], to[16];

	address_text(peer, AF_INET6, value->ip6src, mask->ip6src, 16);
	address_text(local, AF_INET6, value->ip6dst, mask->ip6dst, 16);
	port_text(from, value->psrc, mask->psrc);
	port_text(to, value->pdst, mask->pdst);
	return snprintf(text, size, "%s%s %s%s%s", peer, from, local, to, mask->tclass ? " tclass" : "");
}

void szc_nic_filter_text(const struct szc_nic_filter *filter, char text[SZC_NIC_RULE_TEXT])
{
	const struct ethtool_rx_flow_spec *spec = &filter->spec;
	uint32_t type = spec->flow_type & ~(FLOW_EXT | FLOW_MAC_EXT | FLOW_RSS);
	char match[2 * SZC_NIC_RULE_TEXT], target[64];
	const char *name = NULL;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type != type)
			continue;
		name = types[i].name;
		if (types[i].v6)
			match_v6(spec, match, sizeof(match));
		else
			match_v4(spec, match, sizeof(match));
	}
	if (!name) {
		name = "flow-type";
		snprintf(match, sizeof(match), "%u", type);
	}
	if (spec->ring_cookie == RX_CLS_FLOW_DISC)
		snprintf(target, sizeof(target), "drop");
	else if (spec->flow_type & FLOW_RSS)
		snprintf(target, sizeof(target), "context %u", filter->context);
	else if (spec->ring_cookie > ETHTOOL_RX_FLOW_SPEC_RING)
		snprintf(target, sizeof(target), "target 0x%llx", (unsigned long long)spec->ring_cookie);
	else
		snprintf(target, sizeof(target), "queue %u", (unsigned)spec->ring_cookie);
	snprintf(text, SZC_NIC_RULE_TEXT, "%s %.160s%s %s", name, match,
		 spec->flow_type & (FLOW_EXT | FLOW_MAC_EXT) ? " ext" : "", target);
}

/* ------------------------------------------------------------------------------------------------ parsed */

static bool number(const char *text, unsigned long below, unsigned long *value)
{
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 9)
		return false;
	*value = strtoul(text, &end, 10);
	return !*end && *value < below;
}

/* ADDRESS:PORT or either as *; IPv6 addresses in brackets. */
static bool endpoint(char *text, int family, struct sockaddr_storage *address, bool *any, uint16_t *port)
{
	void *to = family == AF_INET ? (void *)&((struct sockaddr_in *)address)->sin_addr
				     : (void *)&((struct sockaddr_in6 *)address)->sin6_addr;
	char *colon = strrchr(text, ':');
	unsigned long value = 0;

	memset(address, 0, sizeof(*address));
	address->ss_family = (sa_family_t)family;
	if (!colon)
		return false;
	*colon = 0;
	if (strcmp(colon + 1, "*") != 0 && !(number(colon + 1, UINT16_MAX + 1ul, &value) && value))
		return false;
	*port = (uint16_t)value;
	*any = !strcmp(text, "*");
	if (*any)
		return true;
	if (family == AF_INET6) {
		if (*text != '[' || colon[-1] != ']')
			return false;
		colon[-1] = 0;
		text++;
	}
	return inet_pton(family, text, to) == 1;
}

bool szc_nic_filter_parse(struct szc_nic_filter *filter, const char *text)
{
	char type[8], peer[ENDPOINT], local[ENDPOINT], queue[12], again[SZC_NIC_RULE_TEXT];
	struct sockaddr_storage peer_address, local_address;
	struct szc_nic_flow flow = {.size = sizeof(flow)};
	bool any_peer, any_local;
	unsigned long number_of;

	if (sscanf(text, "%7s %61s %61s queue %11s", type, peer, local, queue) != 4)
		return false;
	flow.family = !strcmp(type, "tcp4") ? AF_INET : AF_INET6;
	if (!endpoint(peer, flow.family, &peer_address, &any_peer, &flow.peer_port) ||
	    !endpoint(local, flow.family, &local_address, &any_local, &flow.port) ||
	    !number(queue, QUEUES_MAX, &number_of))
		return false;
	flow.peer = any_peer ? NULL : (struct sockaddr *)&peer_address;
	flow.local = any_local ? NULL : (struct sockaddr *)&local_address;
	if (!szc_nic_filter_make(filter, &flow, (unsigned)number_of))
		return false;
	/* Only what we would have written ourselves: nothing before, between or behind. */
	szc_nic_filter_text(filter, again);
	return !strcmp(again, text);
}
