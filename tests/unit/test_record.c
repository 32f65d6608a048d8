/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <szc/szc.h>
#include "tests/unit/reference.h"
#include "tests/unit/scatter.h"
#include "tls/record.h"

static const uint8_t secret[SZC_SECRET_MAX] = "a secret of 48 bytes, as long as any can be";

static struct szc_protect make_protect(uint16_t suite, uint64_t seq, bool seals)
{
	struct szc_protect protect;

	assert_int_equal(szc_protect_init(&protect, szc_suite_by_id(suite), &szc_aead_evp, secret, seq, seals), 0);
	return protect;
}

/* Parses and opens a record in fragments; what is outside of them, and the header, must stay as it was. */
struct attempt {
	int parsed, ret;
	uint8_t alert;
	struct szc_opened opened;
	uint8_t after[SZC_RECORD_WIRE_MAX + 64]; /* the record's bytes after the attempt */
};

static void attempt_cut(struct attempt *attempt, struct szc_protect *protect, const uint8_t *wire, size_t len,
			const size_t *cuts, int cut_count)
{
	struct scatter scatter;
	struct szc_record record;

	scatter_make(&scatter, wire, len, cuts, cut_count);
	attempt->ret = 1;
	attempt->parsed = szc_record_parse(scatter.iov, scatter.iovcnt, len, &record, &attempt->alert);
	if (attempt->parsed == 1 && SZC_RECORD_HEADER + record.length <= len) {
		assert_memory_equal(record.header, wire, SZC_RECORD_HEADER);
		assert_int_equal(record.type, wire[0]);
		attempt->ret = szc_record_open(protect, &record, scatter.iov, scatter.iovcnt, &attempt->opened);
	}
	assert_true(scatter_intact(&scatter));
	scatter_gather(&scatter, attempt->after);
	assert_memory_equal(attempt->after, wire, len < SZC_RECORD_HEADER ? len : SZC_RECORD_HEADER);
	scatter_free(&scatter);
}

static void attempt_whole(struct attempt *attempt, struct szc_protect *protect, const uint8_t *wire, size_t len)
{
	attempt_cut(attempt, protect, wire, len, NULL, 0);
}

static void assert_opened(const struct attempt *attempt, uint8_t type, const uint8_t *content, size_t len)
{
	assert_int_equal(attempt->parsed, 1);
	assert_int_equal(attempt->ret, 0);
	assert_int_equal(attempt->opened.type, type);
	assert_int_equal(attempt->opened.length, len);
	assert_memory_equal(attempt->after + SZC_RECORD_HEADER, content, len);
}

static void assert_refused_and_wiped(const struct attempt *attempt, size_t body_len, int error, uint8_t alert)
{
	assert_int_equal(attempt->ret, error);
	assert_int_equal(attempt->opened.alert, alert);
	assert_int_equal(attempt->opened.length, 0);
	for (size_t i = 0; i < body_len; i++)
		assert_int_equal(attempt->after[SZC_RECORD_HEADER + i], 0);
}

/* ---- published traces */

struct trace {
	uint16_t suite;
	uint64_t seq;
	uint8_t type;
	const char *secret, *content, *record;
};

#define SERVER "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
#define CLIENT "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
#define BYTES_0_TO_49                                                                                                  \
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031"

/*
 * RFC 8448 section 3 after the handshake: the server's ticket, data and close_notify, the client's data and close_notify;
 * and the client's Finished under its handshake secret. Then ping and pong of tls13.xargs.org, the latter behind two tickets.
 */
static const struct trace traces[] = {
	{0x1301, 0, SZC_CONTENT_HANDSHAKE, SERVER,
	 "040000c90000001efad6aac502000000b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa90bf"
	 "1b0070ad3c498883c9367c09a2be785abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827"
	 "db279cce145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2aea70529513e3da2677fa5906c5b3f7d8f92f228"
	 "bda40dda721470f9fbf297b5aea617646fac5c03272e970727c621a79141ef5f7de6505e5bfbc388e93343694093934a"
	 "e4d3570008002a000400000400",
	 "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758db289a"
	 "015940252f55713e061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f75e0"
	 "9c30ba1e62972ac46f75f7b981be63439b2999ce13064615139891d5e4c5b406f16e3fc181a77ca475840025db2f0a77"
	 "f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d143f9605d64f650db4d023e70e952ca49fe5137121c74"
	 "bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf15985684f"},
	{0x1301, 1, SZC_CONTENT_APPLICATION, SERVER, BYTES_0_TO_49,
	 "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8"
	 "fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d"},
	{0x1301, 2, SZC_CONTENT_ALERT, SERVER, "0100", "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"},
	{0x1301, 0, SZC_CONTENT_APPLICATION, CLIENT, BYTES_0_TO_49,
	 "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b"
	 "62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4"},
	{0x1301, 1, SZC_CONTENT_ALERT, CLIENT, "0100", "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"},
	{0x1301, 0, SZC_CONTENT_HANDSHAKE, "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
	 "14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61",
	 "170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb384bd1c"
	 "aeacab6867d726c40546"},
	{0x1302, 0, SZC_CONTENT_APPLICATION,
	 "9e47af27cb60d818a9ea7d233cb5ed4cc525fcd74614fb24b0ee59acb8e5aa7ff8d88b89792114208fec291a6fa96bad", "70696e67",
	 "1703030015828139cb7b73aaabf5b82fbf9a2961bcde10038a32"},
	{0x1302, 2, SZC_CONTENT_APPLICATION,
	 "86c967fd7747a36a0685b4ed8d0e6b4c02b4ddaf3cd294aa44e9f6b0183bf911e89a189ba5dfd71fccffb5cc164901f8", "706f6e67",
	 "17030300150cda85f1447ae23fa66d56f4c5408482b1b1d4c998"},
};

enum { TRACES = sizeof(traces) / sizeof(traces[0]) };

static void check_trace(const struct trace *trace, struct szc_protect *opener, struct szc_protect *sealer)
{
	uint8_t wire[512], content[512], out[512];
	size_t len = unhex(trace->record, wire, sizeof(wire));
	size_t content_len = unhex(trace->content, content, sizeof(content));
	struct iovec iov = {content, content_len};
	struct szc_span plain = {&iov, 1, 0, content_len};
	struct attempt attempt;

	for (size_t cut = 0; cut <= len; cut++) {
		opener->seq = trace->seq;
		attempt_cut(&attempt, opener, wire, len, &cut, 1);
		assert_opened(&attempt, trace->type, content, content_len);
		assert_int_equal(opener->seq, trace->seq + 1);
	}
	assert_int_equal(szc_record_seal(sealer, trace->type, &plain, out), len);
	assert_memory_equal(out, wire, len);
}

static void published_traces(void **state)
{
	(void)state;
	for (size_t i = 0; i < TRACES; i++) {
		const struct szc_suite *suite = szc_suite_by_id(traces[i].suite);
		struct szc_protect opener, sealer;
		uint8_t bytes[SZC_SECRET_MAX];

		assert_int_equal(unhex(traces[i].secret, bytes, sizeof(bytes)), suite->secret_len);
		assert_int_equal(szc_protect_init(&opener, suite, &szc_aead_evp, bytes, traces[i].seq, false), 0);
		assert_int_equal(szc_protect_init(&sealer, suite, &szc_aead_evp, bytes, traces[i].seq, true), 0);
		check_trace(&traces[i], &opener, &sealer);
		szc_protect_drop(&opener);
		szc_protect_drop(&sealer);
	}
}

/* ---- cuts */

enum { CONTENT = 24, PADDING = 19, INNER = CONTENT + 1 + PADDING, WIRE = INNER + REFERENCE_OVERHEAD };

/* A padded record of the reference implementation: every part of it is long enough to be cut inside. */
static void make_padded(uint16_t suite, uint64_t seq, uint8_t *inner, uint8_t *wire)
{
	memset(inner, 0, INNER);
	for (int i = 0; i < CONTENT; i++)
		inner[i] = (uint8_t)(i * 11);
	inner[CONTENT] = SZC_CONTENT_APPLICATION;
	assert_int_equal(reference_seal(suite, secret, seq, inner, INNER, wire), WIRE);
}

static void each_pair_of_cuts(void **state)
{
	uint8_t inner[INNER], wire[WIRE];
	struct attempt attempt;

	(void)state;
	for (uint16_t suite = 0x1301; suite <= 0x1303; suite++) {
		struct szc_protect protect = make_protect(suite, 0, false);

		make_padded(suite, 0, inner, wire);
		for (size_t a = 0; a <= WIRE; a++) {
			for (size_t b = a; b <= WIRE; b++) {
				protect.seq = 0;
				attempt_cut(&attempt, &protect, wire, WIRE, (size_t[]){a, b}, 2);
				assert_opened(&attempt, SZC_CONTENT_APPLICATION, inner, CONTENT);
			}
		}
		szc_protect_drop(&protect);
	}
}

static void every_byte_a_fragment(void **state)
{
	uint8_t inner[INNER], wire[WIRE];
	struct attempt attempt;
	size_t cuts[WIRE];

	(void)state;
	for (size_t i = 0; i < WIRE; i++)
		cuts[i] = i;
	for (uint16_t suite = 0x1301; suite <= 0x1303; suite++) {
		struct szc_protect protect = make_protect(suite, 7, false);

		make_padded(suite, 7, inner, wire);
		attempt_cut(&attempt, &protect, wire, WIRE, cuts, WIRE);
		assert_opened(&attempt, SZC_CONTENT_APPLICATION, inner, CONTENT);
		szc_protect_drop(&protect);
	}
}

/* Two records in one fragment: the second is somebody else's memory until it is opened itself. */
static void what_follows_the_record_is_left_alone(void **state)
{
	struct szc_protect protect = make_protect(0x1301, 0, false);
	uint8_t inner[INNER], wire[2 * WIRE];
	struct attempt attempt;

	(void)state;
	make_padded(0x1301, 0, inner, wire);
	make_padded(0x1301, 1, inner, wire + WIRE);
	attempt_whole(&attempt, &protect, wire, sizeof(wire));
	assert_opened(&attempt, SZC_CONTENT_APPLICATION, inner, CONTENT);
	assert_memory_equal(attempt.after + WIRE, wire + WIRE, WIRE);

	wire[SZC_RECORD_HEADER + 3] ^= 1;
	attempt_whole(&attempt, &protect, wire, sizeof(wire));
	assert_refused_and_wiped(&attempt, WIRE - SZC_RECORD_HEADER, SZC_E_TLS_MAC, SZC_ALERT_BAD_RECORD_MAC);
	assert_memory_equal(attempt.after + WIRE, wire + WIRE, WIRE);

	attempt_whole(&attempt, &protect, wire + WIRE, WIRE);
	assert_opened(&attempt, SZC_CONTENT_APPLICATION, inner, CONTENT);
	szc_protect_drop(&protect);
}

static void long_records_in_random_fragments(void **state)
{
	static uint8_t inner[SZC_RECORD_INNER_MAX], wire[SZC_RECORD_WIRE_MAX];
	static struct attempt attempt;
	uint64_t seed = 1;

	(void)state;
	for (uint16_t suite = 0x1301; suite <= 0x1303; suite++) {
		struct szc_protect protect = make_protect(suite, 0, false);

		for (int round = 0; round < 200; round++) {
			size_t content = scatter_random(&seed) % SZC_RECORD_INNER_MAX, len, cuts[30];
			size_t inner_len = content + 1 + scatter_random(&seed) % (SZC_RECORD_INNER_MAX - content);

			memset(inner, 0, sizeof(inner));
			memset(inner, round, content);
			inner[content] = SZC_CONTENT_APPLICATION;
			len = reference_seal(suite, secret, protect.seq, inner, inner_len, wire);
			attempt_cut(&attempt, &protect, wire, len, cuts, scatter_random_cuts(&seed, len, cuts, 30));
			assert_opened(&attempt, SZC_CONTENT_APPLICATION, inner, content);
			assert_int_equal(protect.seq, round + 1);
		}
		szc_protect_drop(&protect);
	}
}

/* ---- refusals */

static void any_change_is_refused_and_wiped(void **state)
{
	uint8_t inner[INNER], wire[WIRE];
	struct attempt attempt;

	(void)state;
	for (uint16_t suite = 0x1301; suite <= 0x1303; suite++) {
		struct szc_protect protect = make_protect(suite, 0, false);

		make_padded(suite, 0, inner, wire);
		for (size_t i = 0; i < WIRE; i++) {
			size_t cuts[2] = {i, i + (i < WIRE)};

			if (i == 0 || i == 1 || i == 3 || i == 4)
				continue; /* type, major version and length are parse()'s */
			for (int bit = 0; bit < 8; bit++) {
				wire[i] ^= (uint8_t)(1 << bit);
				attempt_cut(&attempt, &protect, wire, WIRE, cuts, 2);
				assert_refused_and_wiped(&attempt, WIRE - SZC_RECORD_HEADER, SZC_E_TLS_MAC,
							 SZC_ALERT_BAD_RECORD_MAC);
				assert_int_equal(protect.seq, 0);
				wire[i] ^= (uint8_t)(1 << bit);
			}
		}
		attempt_whole(&attempt, &protect, wire, WIRE);
		assert_opened(&attempt, SZC_CONTENT_APPLICATION, inner, CONTENT);
		/* the same record again: the sequence number has moved on */
		attempt_whole(&attempt, &protect, wire, WIRE);
		assert_refused_and_wiped(&attempt, WIRE - SZC_RECORD_HEADER, SZC_E_TLS_MAC, SZC_ALERT_BAD_RECORD_MAC);
		szc_protect_drop(&protect);
	}
}

/* A length that lies, within what arrived: the bytes between are taken for the body, and the tag refuses them. */
static void wrong_lengths_are_refused(void **state)
{
	struct szc_protect protect = make_protect(0x1301, 0, false);
	uint8_t inner[INNER], wire[WIRE];
	struct attempt attempt;

	(void)state;
	make_padded(0x1301, 0, inner, wire);
	for (size_t length = 0; length < WIRE - SZC_RECORD_HEADER; length++) {
		wire[4] = (uint8_t)length;
		attempt_whole(&attempt, &protect, wire, WIRE);
		assert_refused_and_wiped(&attempt, length, SZC_E_TLS_MAC, SZC_ALERT_BAD_RECORD_MAC);
		assert_memory_equal(attempt.after + SZC_RECORD_HEADER + length, wire + SZC_RECORD_HEADER + length,
				    WIRE - SZC_RECORD_HEADER - length);
	}
	/* a tag that is right, but of nothing at all */
	attempt_whole(&attempt, &protect, wire, reference_seal(0x1301, secret, 0, inner, 0, wire));
	assert_refused_and_wiped(&attempt, SZC_RECORD_TAG, SZC_E_TLS_MAC, SZC_ALERT_BAD_RECORD_MAC);
	szc_protect_drop(&protect);
}

/* A verified record of `inner`: opens to `type`, or is refused with unexpected_message. */
static void check_inner(const uint8_t *inner, size_t len, uint8_t type, size_t content_len, bool sound)
{
	static uint8_t wire[SZC_RECORD_WIRE_MAX];
	static struct attempt attempt;
	size_t wire_len, cuts[3];

	for (uint16_t suite = 0x1301; suite <= 0x1303; suite++) {
		struct szc_protect protect = make_protect(suite, 0, false);

		wire_len = reference_seal(suite, secret, 0, inner, len, wire);
		cuts[0] = SZC_RECORD_HEADER + len / 3;
		cuts[1] = SZC_RECORD_HEADER + len / 2;
		cuts[2] = SZC_RECORD_HEADER + len - 1;
		attempt_cut(&attempt, &protect, wire, wire_len, cuts, 3);
		if (sound) {
			assert_opened(&attempt, type, inner, content_len);
		} else {
			assert_refused_and_wiped(&attempt, len + SZC_RECORD_TAG, SZC_E_TLS_RECORD,
						 SZC_ALERT_UNEXPECTED_MESSAGE);
			assert_int_equal(protect.seq, 0);
		}
		szc_protect_drop(&protect);
	}
}

static void inner_types(void **state)
{
	(void)state;
	for (int type = 1; type < 256; type++) {
		bool known =
			type == SZC_CONTENT_ALERT || type == SZC_CONTENT_HANDSHAKE || type == SZC_CONTENT_APPLICATION;
		uint8_t inner[40] = {1, 2, (uint8_t)type};

		check_inner(inner, 3, (uint8_t)type, 2, known);
		check_inner(inner, sizeof(inner), (uint8_t)type, 2, known);
		/* without content, only application data may be (5.4) */
		check_inner(inner + 2, 1, (uint8_t)type, 0, type == SZC_CONTENT_APPLICATION);
		check_inner(inner + 2, sizeof(inner) - 2, (uint8_t)type, 0, type == SZC_CONTENT_APPLICATION);
	}
}

static void nothing_but_zeros(void **state)
{
	static const uint8_t inner[SZC_RECORD_INNER_MAX];
	static const size_t lengths[] = {1, 2, 15, 16, 17, 64, 4096, SZC_RECORD_INNER_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		check_inner(inner, lengths[i], 0, 0, false);
}

static void the_longest_inner_and_one_more(void **state)
{
	static uint8_t inner[SZC_RECORD_CIPHER_MAX], wire[SZC_RECORD_CIPHER_MAX + REFERENCE_OVERHEAD];
	static struct attempt attempt;
	size_t len;

	(void)state;
	memset(inner, 0x55, sizeof(inner));
	inner[SZC_RECORD_PLAIN_MAX] = SZC_CONTENT_APPLICATION;
	check_inner(inner, SZC_RECORD_INNER_MAX, SZC_CONTENT_APPLICATION, SZC_RECORD_PLAIN_MAX, true);

	/* one more is refused, be it padding or content, up to the longest record that a header may announce */
	for (int padded = 0; padded < 2; padded++) {
		for (size_t more = 1; more <= 256 - 1 - SZC_RECORD_TAG; more += 238) {
			struct szc_protect protect = make_protect(0x1303, 0, false);
			size_t inner_len = SZC_RECORD_INNER_MAX + more;

			memset(inner, padded ? 0 : 0x55, sizeof(inner));
			inner[padded ? 3 : inner_len - 1] = SZC_CONTENT_APPLICATION;
			len = reference_seal(0x1303, secret, 0, inner, inner_len, wire);
			attempt_whole(&attempt, &protect, wire, len);
			assert_int_equal(attempt.parsed, 1);
			assert_refused_and_wiped(&attempt, len - SZC_RECORD_HEADER, SZC_E_TLS_RECORD,
						 SZC_ALERT_RECORD_OVERFLOW);
			szc_protect_drop(&protect);
		}
	}
}

/* ---- headers */

static int parse(const uint8_t *header, size_t avail, uint8_t *alert)
{
	int first = 2;

	for (size_t a = 0; a <= avail; a++) {
		for (size_t b = a; b <= avail; b++) {
			struct szc_record record;
			struct scatter scatter;
			int ret;

			*alert = 0xff;
			scatter_make(&scatter, header, avail, (size_t[]){a, b}, 2);
			ret = szc_record_parse(scatter.iov, scatter.iovcnt, avail, &record, alert);
			if (ret == 1)
				assert_int_equal(record.length, header[3] << 8 | header[4]);
			assert_true(scatter_intact(&scatter));
			scatter_free(&scatter);
			assert_true(first == 2 || ret == first); /* the cut makes no difference */
			first = ret;
		}
	}
	return first;
}

static void headers(void **state)
{
	static const size_t lengths[] = {0, 1, 2, 16, 17, 16383, 16384, 16385, 16640, 16641, 32768, 65535};

	(void)state;
	for (int type = 0; type < 256; type++) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			size_t length = lengths[i], longest = type == SZC_CONTENT_APPLICATION ? 16640 : 16384;
			const uint8_t header[] = {(uint8_t)type, 3, 3, (uint8_t)(length >> 8), (uint8_t)length};
			bool known = type >= SZC_CONTENT_CCS && type <= SZC_CONTENT_APPLICATION;
			uint8_t alert;
			int ret = parse(header, sizeof(header), &alert);

			if (known && length <= longest && (length || type == SZC_CONTENT_APPLICATION)) {
				assert_int_equal(ret, 1);
				continue;
			}
			assert_int_equal(ret, SZC_E_TLS_RECORD);
			if (!known)
				assert_int_equal(alert, SZC_ALERT_UNEXPECTED_MESSAGE);
			else
				assert_int_equal(alert, length ? SZC_ALERT_RECORD_OVERFLOW : SZC_ALERT_DECODE_ERROR);
		}
	}
}

static void header_versions(void **state)
{
	uint8_t header[] = {SZC_CONTENT_HANDSHAKE, 3, 3, 0, 1}, alert;

	(void)state;
	for (int version = 0; version < 65536; version += version % 256 == 4 ? 251 : 1) {
		header[1] = (uint8_t)(version >> 8);
		header[2] = (uint8_t)version;
		assert_int_equal(parse(header, sizeof(header), &alert), header[1] == 3 ? 1 : SZC_E_TLS_RECORD);
		if (header[1] != 3)
			assert_int_equal(alert, SZC_ALERT_DECODE_ERROR);
	}
}

static void headers_that_are_not_whole(void **state)
{
	static const uint8_t bytes[SZC_RECORD_HEADER] = {0xff, 0xff, 0xff, 0xff, 0xff};
	uint8_t alert;

	(void)state;
	for (size_t avail = 0; avail < SZC_RECORD_HEADER; avail++)
		assert_int_equal(parse(bytes, avail, &alert), 0);
}

static void alert_names(void **state)
{
	int known = 0;

	(void)state;
	assert_string_equal(szc_alert_name(SZC_ALERT_CLOSE_NOTIFY), "close_notify");
	assert_string_equal(szc_alert_name(SZC_ALERT_BAD_RECORD_MAC), "bad_record_mac");
	assert_string_equal(szc_alert_name(116), "certificate_required");
	assert_string_equal(szc_alert_name(120), "no_application_protocol");
	assert_string_equal(szc_alert_name(21), "unknown");
	assert_string_equal(szc_alert_name(255), "unknown");
	for (int alert = 0; alert < 256; alert++)
		known += strcmp(szc_alert_name((uint8_t)alert), "unknown") != 0;
	assert_int_equal(known, 27);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_traces),
		cmocka_unit_test(each_pair_of_cuts),
		cmocka_unit_test(every_byte_a_fragment),
		cmocka_unit_test(what_follows_the_record_is_left_alone),
		cmocka_unit_test(long_records_in_random_fragments),
		cmocka_unit_test(any_change_is_refused_and_wiped),
		cmocka_unit_test(wrong_lengths_are_refused),
		cmocka_unit_test(inner_types),
		cmocka_unit_test(nothing_but_zeros),
		cmocka_unit_test(the_longest_inner_and_one_more),
		cmocka_unit_test(headers),
		cmocka_unit_test(header_versions),
		cmocka_unit_test(headers_that_are_not_whole),
		cmocka_unit_test(alert_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
