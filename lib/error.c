/* SPDX-License-Identifier: MIT */
#include <szc/szc.h>

#include <string.h>

#define TEXT(x)    #x
#define VERSION(x) TEXT(x)

static const struct {
	int error;
	const char *text;
} texts[] = {
	{0, "no error"},
	{SZC_E_STATE, "the call does not fit the state of the connection or engine"},
	{SZC_E_OPTION, "an option is out of range or contradicts another"},
	{SZC_E_ADDRESS, "the address could not be parsed or resolved"},
	{SZC_E_BACKEND, "the backend that was asked for cannot run here"},
	{SZC_E_LIMIT, "the engine has as many connections as its area can feed"},
	{SZC_E_VIEWS_OUT, "views of this engine are still with the application"},
	{SZC_E_TIMEOUT, "a time limit passed"},
	{SZC_E_CLOSED, "the peer closed the connection while more was expected of it"},
	{SZC_E_TRUNCATED, "the peer closed without close_notify: data may be missing"},
	{SZC_E_TLS_VERSION, "the peer does not speak TLS 1.3"},
	{SZC_E_TLS_HANDSHAKE, "the TLS handshake failed"},
	{SZC_E_TLS_VERIFY, "the peer's certificate was not accepted"},
	{SZC_E_TLS_CIPHER, "no cipher suite in common that this library opens"},
	{SZC_E_TLS_RECORD, "the peer sent a record that breaks the protocol"},
	{SZC_E_TLS_MAC, "a record failed authentication: it was damaged or forged on the way"},
	{SZC_E_TLS_ALERT, "the peer ended the connection with an alert"},
	{SZC_E_TLS_FLOOD, "the peer sent more empty records, key updates or tickets than allowed"},
	{SZC_E_TLS_KEY_LIMIT, "a key protected as many records as it may, and no new one came"},
	{SZC_E_TLS_CONFIG, "a certificate, key or trust file could not be used"},
	{SZC_E_PSP_DEVICE, "the connection goes through no device that does PSP"},
	{SZC_E_PSP_VERSION, "no version of PSP that encrypts is enabled, or known to both ends"},
	{SZC_E_PSP_LIMIT, "the device has no PSP association left"},
	{SZC_E_PSP_SOCKET,
	 "the socket has no TCP timestamps, or what excludes PSP: a TLS of the kernel's, or PSP already"},
	{SZC_E_PSP_PEER, "the peer knows no PSP, or cannot do it now"},
	{SZC_E_PSP_MESSAGE, "what the peer said in the upgrade, or under PSP, breaks the protocol"},
	{SZC_E_PSP_EXPIRED, "the NIC's key was rotated twice before the stream could move"},
};

const char *szc_strerror(int error)
{
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].error == error)
			return texts[i].text;
	if (error > 0 || error < SZC_E_STATE)
		return "not an error of this library";
	return strerror(-error);
}

const char *szc_version(void)
{
	return VERSION(SZC_VERSION_MAJOR) "." VERSION(SZC_VERSION_MINOR) "." VERSION(SZC_VERSION_PATCH);
}
