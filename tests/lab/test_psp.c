/* SPDX-License-Identifier: MIT */
/*
 * PSP through the virtual NIC, into registered memory: what is sealed arrives in place and unharmed, what is on the wire
 * is what the specification says (psp/packet.h opens it with the keys the device derived), and what is wrong does not arrive.
 */
#define _GNU_SOURCE /* setns() */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "psp/family.h"
#include "psp/packet.h"
#include "tests/lab/queue.h"

enum {
	TOTAL = 4 << 20,
	PIECE = 30000,
	SEGMENT = 1400,
	ETH = 14,
	IPV4 = 20,
	UDP = 8,
	PSP = 16,
	ICV = 16,
	TCP = 20,
	WIRE_MS = 10000,
};

/* Both ends, each in its namespace. */
struct ends {
	struct szc_psp near, far;
	struct szc_psp_device near_device, far_device;
};

static void open_far(struct szc_psp *psp)
{
	int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int peer = open("/run/netns/peer", O_RDONLY | O_CLOEXEC);
	int error;

	assert_return_code(here, errno);
	assert_return_code(peer, errno);
	assert_return_code(setns(peer, CLONE_NEWNET), errno);
	error = szc_psp_open(psp);
	assert_return_code(setns(here, CLONE_NEWNET), errno);
	close(here);
	close(peer);
	assert_int_equal(error, 0);
}

static void ends_open(struct ends *ends)
{
	struct szc_psp_device devices[SZC_PSP_DEVICES_MAX];
	int error = szc_psp_open(&ends->near);

	if (error == -ENOENT) {
		printf("# skip: this kernel has no PSP\n");
		skip();
	}
	assert_int_equal(error, 0);
	error = szc_psp_device(&ends->near, if_nametoindex(queue_near), &ends->near_device);
	if (error == -ENODEV) {
		szc_psp_close(&ends->near);
		printf("# skip: szcnic is no PSP device on this kernel\n");
		skip();
	}
	assert_int_equal(error, 0);
	open_far(&ends->far);
	assert_int_equal(szc_psp_devices(&ends->far, devices), 1);
	ends->far_device = devices[0];
	assert_int_equal(szc_psp_enable(&ends->near, ends->near_device.id, ends->near_device.capable), 0);
	assert_int_equal(szc_psp_enable(&ends->far, ends->far_device.id, ends->far_device.capable), 0);
}

static void ends_close(struct ends *ends)
{
	assert_int_equal(szc_psp_enable(&ends->near, ends->near_device.id, 0), 0);
	assert_int_equal(szc_psp_enable(&ends->far, ends->far_device.id, 0), 0);
	szc_psp_close(&ends->near);
	szc_psp_close(&ends->far);
}

static uint64_t counted(struct szc_psp *psp, const struct szc_psp_device *device, enum psp_stats_attr which)
{
	struct szc_psp_stats stats;

	assert_int_equal(szc_psp_stats(psp, device->id, &stats), 0);
	return stats.count[which];
}

/* Both get the keys of the other. Returns the near one's, by which what it receives can be opened. */
static struct szc_psp_key associate(struct ends *ends, int near, int far, enum szc_psp_version version)
{
	struct szc_psp_key near_key, far_key;

	assert_int_equal(szc_psp_receive_key(&ends->near, near, ends->near_device.id, version, &near_key), 0);
	assert_int_equal(szc_psp_receive_key(&ends->far, far, ends->far_device.id, version, &far_key), 0);
	assert_int_equal(szc_psp_send_key(&ends->near, near, ends->near_device.id, version, &far_key), 0);
	assert_int_equal(szc_psp_send_key(&ends->far, far, ends->far_device.id, version, &near_key), 0);
	return near_key;
}

/* An engine, one connection on it, associated. Returns the far descriptor. */
static int connect_sealed(struct ends *ends, struct queue *queue, struct sink *sink, int family,
			  enum szc_psp_version version)
{
	int far;

	queue_open(queue, family, (struct szc_rx_options){.max_connections = 1});
	far = queue_connect(queue, sink, version);
	associate(ends, szc_conn_fd(sink->conn), far, version);
	return far;
}

static void receive_all(struct queue *queue, struct sink *sink, int far, unsigned seed)
{
	struct sink_sender sender;

	sink_send(&sender, far, seed, TOTAL, PIECE);
	sink_until_over(queue->rx, sink, 1);
	assert_int_equal(sink->got, TOTAL);
	assert_true(sink->eof);
	sink_send_end(&sender);
}

/* ---- in place */

static void sealed_arrives_in_place(int family, enum szc_psp_version version)
{
	uint64_t netmem, elsewhere, opened;
	struct szc_trips trips;
	struct queue queue;
	struct ends ends;
	struct sink sink;
	int far;

	ends_open(&ends);
	far = connect_sealed(&ends, &queue, &sink, family, version);
	netmem = queue_counter("rx1_payload_netmem");
	elsewhere = queue_counter("rx1_payload_page") + queue_counter("rx1_payload_linear");
	opened = counted(&ends.near, &ends.near_device, PSP_A_STATS_RX_BYTES);
	receive_all(&queue, &sink, far, version);
	/* At least: what TCP sends twice is written twice. */
	assert_true(queue_counter("rx1_payload_netmem") - netmem >= TOTAL);
	assert_int_equal(queue_counter("rx1_payload_page") + queue_counter("rx1_payload_linear") - elsewhere, 0);
	assert_true(counted(&ends.near, &ends.near_device, PSP_A_STATS_RX_BYTES) - opened > TOTAL);
	szc_rx_trips(queue.rx, &trips);
	assert_int_equal(trips.bytes_zero_copy, TOTAL);
	assert_int_equal(trips.bytes_kernel_copied, 0);
	assert_int_equal(trips.bytes_opened, 0);
	szc_conn_close(sink.conn);
	queue_close(&queue);
	ends_close(&ends);
}

static void every_version_arrives_in_place(void **state)
{
	(void)state;
	for (enum szc_psp_version version = 0; version < SZC_PSP_VERSIONS; version++)
		sealed_arrives_in_place(version % 2 ? AF_INET6 : AF_INET, version);
}

static void a_bad_wire_harms_nothing(void **state)
{
	struct queue queue;
	struct ends ends;
	struct sink sink;
	int far;

	(void)state;
	ends_open(&ends);
	far = connect_sealed(&ends, &queue, &sink, AF_INET, SZC_PSP_AES_GCM_128);
	queue_wire((struct szc_nic_wire){.set = SZC_NIC_WIRE_LOSS | SZC_NIC_WIRE_REORDER | SZC_NIC_WIRE_CORRUPT,
					 .loss = 5000,
					 .reorder = 20000,
					 .corrupt = 5000});
	receive_all(&queue, &sink, far, SZC_PSP_AES_GCM_128);
	queue_wire((struct szc_nic_wire){.set = SZC_NIC_WIRE_LOSS | SZC_NIC_WIRE_REORDER | SZC_NIC_WIRE_CORRUPT});
	szc_conn_close(sink.conn);
	queue_close(&queue);
	ends_close(&ends);
}

static void a_wrong_icv_is_dropped_and_counted(void **state)
{
	enum { SPOILT = 3 };
	struct queue queue;
	struct ends ends;
	struct sink sink;
	uint64_t failed;
	int far;

	(void)state;
	ends_open(&ends);
	far = connect_sealed(&ends, &queue, &sink, AF_INET, SZC_PSP_AES_GCM_256);
	failed = counted(&ends.far, &ends.far_device, PSP_A_STATS_RX_AUTH_FAIL);
	/*
	 * Ours: acknowledgments. That leaves the order of the payload alone, and still every one of them is made up for. Few:
	 * where a burst is answered by one, the sender waits twice as long after each.
	 */
	queue_ask("psp_spoil", "3");
	receive_all(&queue, &sink, far, SZC_PSP_AES_GCM_256);
	assert_int_equal(counted(&ends.far, &ends.far_device, PSP_A_STATS_RX_AUTH_FAIL) - failed, SPOILT);
	szc_conn_close(sink.conn);
	queue_close(&queue);
	ends_close(&ends);
}

/* ---- on the wire */

static int capture(void)
{
	struct sockaddr_ll where = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_return_code(fd, errno);
	where.sll_ifindex = (int)if_nametoindex(queue_near);
	assert_return_code(bind(fd, (struct sockaddr *)&where, sizeof(where)), errno);
	return fd;
}

/* The next frame to UDP port 1000 with that SPI (who got no answer before goes on sending, under another) and at least so much
 * payload (acknowledgments are sealed, too), as the stack sees it where the port does not open it. */
static size_t next_sealed(int fd, uint32_t spi, uint8_t *frame, size_t size, size_t payload)
{
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	uint32_t wanted = htonl(spi);

	while (poll(&waiting, 1, WIRE_MS) == 1) {
		ssize_t n = recv(fd, frame, size, 0);

		assert_return_code(n, errno);
		if ((size_t)n >= ETH + IPV4 + UDP + PSP + TCP + payload + ICV && frame[ETH + 9] == IPPROTO_UDP &&
		    frame[ETH + IPV4 + 2] == 1000 >> 8 && frame[ETH + IPV4 + 3] == (1000 & 0xff) &&
		    !memcmp(frame + ETH + IPV4 + UDP + 4, &wanted, sizeof(wanted)))
			return (size_t)n;
	}
	fail_msg("nothing that is sealed came");
	return 0;
}

/* What is in a PSP packet of `len` bytes from its header on, opened where it is; its length. */
static size_t open_sealed(enum szc_psp_version version, const struct szc_psp_key *key, uint8_t *psp, size_t len)
{
	struct szc_psp_packet packet;

	/* TCP inside, nothing left in clear, this version. */
	assert_int_equal(szc_psp_packet_parse(&packet, psp, len), 0);
	assert_int_equal(packet.next, IPPROTO_TCP);
	assert_int_equal(packet.header, PSP);
	assert_int_equal(packet.clear, PSP);
	assert_int_equal(packet.version, version);
	assert_int_equal(packet.spi, key->spi);
	assert_int_equal(szc_psp_packet_open(&packet, key, psp), 0);
	return packet.payload;
}

static void wire_of(enum szc_psp_version version)
{
	static const uint8_t secret[] = "what nobody on the wire may read";
	bool encrypted = version == SZC_PSP_AES_GCM_128 || version == SZC_PSP_AES_GCM_256;
	uint8_t frame[2048] = {0}, *psp = frame + ETH + IPV4 + UDP;
	struct szc_psp_key key;
	struct queue queue;
	struct ends ends;
	struct sink sink;
	size_t len, udp_len;
	int far, wire;

	ends_open(&ends);
	queue_open(&queue, AF_INET, (struct szc_rx_options){.max_connections = 1});
	far = queue_connect(&queue, &sink, 0);
	key = associate(&ends, szc_conn_fd(sink.conn), far, version);
	/* The port lets everything pass as it is. */
	assert_int_equal(szc_psp_enable(&ends.near, ends.near_device.id, 0), 0);
	wire = capture();
	assert_int_equal(send(far, secret, sizeof(secret), MSG_NOSIGNAL), sizeof(secret));
	len = next_sealed(wire, key.spi, frame, sizeof(frame), sizeof(secret));
	assert_int_equal(memmem(frame, len, secret, sizeof(secret)) == NULL, encrypted);
	udp_len = (size_t)frame[ETH + IPV4 + 4] << 8 | frame[ETH + IPV4 + 5];
	assert_true(udp_len <= len - ETH - IPV4);
	len = open_sealed(version, &key, psp, udp_len - UDP);
	assert_true(len > sizeof(secret));
	assert_memory_equal(psp + PSP + len - sizeof(secret), secret, sizeof(secret));
	close(wire);
	szc_conn_close(sink.conn);
	close(far);
	queue_close(&queue);
	ends_close(&ends);
}

static void the_wire_is_as_specified(void **state)
{
	(void)state;
	for (enum szc_psp_version version = 0; version < SZC_PSP_VERSIONS; version++)
		wire_of(version);
}

/* ---- keys */

static int any_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_return_code(fd, errno);
	return fd;
}

static void spis_run_out_until_the_key_changes(void **state)
{
	int first = any_socket(), second = any_socket();
	struct szc_psp_key one, other;
	struct ends ends;

	(void)state;
	ends_open(&ends);
	queue_ask("psp_spis", "1");
	assert_int_equal(szc_psp_receive_key(&ends.near, first, ends.near_device.id, 0, &one), 0);
	assert_int_equal(szc_psp_receive_key(&ends.near, second, ends.near_device.id, 0, &other), -ENOSPC);
	assert_non_null(strstr(ends.near.netlink.why, "rotate"));
	assert_int_equal(szc_psp_rotate(&ends.near, ends.near_device.id), 0);
	assert_int_equal(szc_psp_receive_key(&ends.near, second, ends.near_device.id, 0, &other), 0);
	assert_int_not_equal(one.spi >> 31, other.spi >> 31);
	close(first);
	close(second);
	ends_close(&ends);
}

/* Keys of the device key before are good, those of the one before that are not. */
static void a_key_outlives_one_rotation(void **state)
{
	struct queue queue;
	struct ends ends;
	struct sink sink;
	uint64_t refused;
	int far, turns;

	(void)state;
	ends_open(&ends);
	far = connect_sealed(&ends, &queue, &sink, AF_INET, SZC_PSP_AES_GCM_128);
	assert_int_equal(szc_psp_rotate(&ends.near, ends.near_device.id), 0);
	assert_int_equal(send(far, (uint8_t[]){sink_byte(0, 0)}, 1, MSG_NOSIGNAL), 1);
	for (turns = 0; turns < SINK_MS / SINK_TURN_MS && sink.got < 1; turns++)
		sink_turn(queue.rx, SINK_TURN_MS);
	assert_int_equal(sink.got, 1);
	assert_int_equal(szc_psp_rotate(&ends.near, ends.near_device.id), 0);
	refused = counted(&ends.near, &ends.near_device, PSP_A_STATS_RX_AUTH_FAIL);
	assert_int_equal(send(far, (uint8_t[]){sink_byte(0, 1)}, 1, MSG_NOSIGNAL), 1);
	for (turns = 0; turns < SINK_MS / SINK_TURN_MS; turns++) {
		sink_turn(queue.rx, SINK_TURN_MS);
		if (counted(&ends.near, &ends.near_device, PSP_A_STATS_RX_AUTH_FAIL) > refused)
			break;
	}
	assert_true(turns < SINK_MS / SINK_TURN_MS);
	assert_int_equal(sink.got, 1);
	szc_conn_close(sink.conn);
	close(far);
	queue_close(&queue);
	ends_close(&ends);
}

/* The last one here: the scene is gone afterwards. */
static void a_port_goes_with_associations_alive(void **state)
{
	struct queue queue;
	struct ends ends;
	struct sink sink;
	char byte;
	int far;

	(void)state;
	ends_open(&ends);
	far = connect_sealed(&ends, &queue, &sink, AF_INET, SZC_PSP_AES_GCM_128);
	queue_run("ip link del szc0");
	assert_int_equal(send(far, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), 1);
	assert_int_equal(recv(far, &byte, 1, MSG_DONTWAIT), -1);
	szc_conn_close(sink.conn);
	close(far);
	sink_finish(queue.rx);
	szc_nic_close(queue.nic);
	szc_psp_close(&ends.near);
	szc_psp_close(&ends.far);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_version_arrives_in_place),      cmocka_unit_test(a_bad_wire_harms_nothing),
		cmocka_unit_test(a_wrong_icv_is_dropped_and_counted),  cmocka_unit_test(the_wire_is_as_specified),
		cmocka_unit_test(spis_run_out_until_the_key_changes),  cmocka_unit_test(a_key_outlives_one_rotation),
		cmocka_unit_test(a_port_goes_with_associations_alive),
	};

	queue_limit(800);
	return cmocka_run_group_tests_name("psp", tests, NULL, NULL);
}
