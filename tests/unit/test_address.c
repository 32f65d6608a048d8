/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include "lib/address.h"

static void resolves(const char *text, bool to_listen, const char *address, unsigned port)
{
	struct addrinfo *found = NULL;
	char why[200] = "", shown[INET6_ADDRSTRLEN];
	unsigned got;

	if (szc_address_resolve(text, to_listen, &found, why, sizeof(why)))
		fail_msg("%s: %s", text, why);
	assert_non_null(found);
	assert_int_equal(found->ai_socktype, SOCK_STREAM);
	if (found->ai_family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)found->ai_addr;

		inet_ntop(AF_INET6, &in6->sin6_addr, shown, sizeof(shown));
		got = ntohs(in6->sin6_port);
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)found->ai_addr;

		inet_ntop(AF_INET, &in->sin_addr, shown, sizeof(shown));
		got = ntohs(in->sin_port);
	}
	assert_string_equal(shown, address);
	assert_int_equal(got, port);
	freeaddrinfo(found);
}

static void refused(const char *text, bool to_listen, const char *words)
{
	struct addrinfo *found = NULL;
	char why[200] = "";

	assert_int_equal(szc_address_resolve(text, to_listen, &found, why, sizeof(why)), SZC_E_ADDRESS);
	if (!strstr(why, words) || !strstr(why, text))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, why, words);
}

static void numbers(void **state)
{
	(void)state;
	resolves("127.0.0.1:80", false, "127.0.0.1", 80);
	resolves("127.0.0.1:65535", true, "127.0.0.1", 65535);
	resolves("127.0.0.1:0", true, "127.0.0.1", 0);
	resolves("[::1]:443", false, "::1", 443);
	resolves("[::1]:0", true, "::1", 0);
	resolves("[fe80::1%lo]:7", true, "fe80::1", 7);
	resolves(":8443", true, "::", 8443);
	resolves(":0", true, "::", 0);
}

static void names(void **state)
{
	struct addrinfo *found = NULL;
	char why[200] = "";

	(void)state;
	/* Which family comes first is the machine's. */
	if (szc_address_resolve("localhost:1", false, &found, why, sizeof(why)))
		fail_msg("localhost: %s", why);
	freeaddrinfo(found);
}

static void nonsense_is_refused_with_a_reason(void **state)
{
	char host[400];

	(void)state;
	refused("", false, "there is no port");
	refused("localhost", false, "there is no port");
	refused("localhost:", false, "there is no port");
	refused(":", true, "there is no port");
	refused(":80", false, "no host to connect to");
	refused("::1:80", false, "needs brackets");
	refused("::1", true, "needs brackets");
	refused("[::1:80", false, "[ADDR6]:PORT");
	refused("[]:80", false, "[ADDR6]:PORT");
	refused("[::1]80", true, "[ADDR6]:PORT");
	refused("[::1]x:80", true, "[ADDR6]:PORT");
	refused("127.0.0.1:http", false, "a number from 0 to 65535");
	refused("127.0.0.1:80x", true, "a number from 0 to 65535");
	refused("127.0.0.1:65536", true, "a number from 0 to 65535");
	refused("127.0.0.1:-1", true, "a number from 0 to 65535");
	refused("127.0.0.1:000000080", false, "a number from 0 to 65535");
	refused("127.0.0.1: 80", false, "a number from 0 to 65535");
	refused("no.such.host.invalid:80", false, "");
	memset(host, 'a', sizeof(host));
	memcpy(host + sizeof(host) - 4, ":80", 4);
	{
		struct addrinfo *found;
		char why[200] = "";

		assert_int_equal(szc_address_resolve(host, false, &found, why, sizeof(why)), SZC_E_ADDRESS);
		assert_true(strlen(why) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(names),
		cmocka_unit_test(nonsense_is_refused_with_a_reason),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
