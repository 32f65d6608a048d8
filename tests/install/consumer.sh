#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs into a fresh prefix and uses it as somebody outside the tree would: C and C++, shared and static, through
# pkg-config and through CMake; then the example, fed by `openssl s_client`.
set -u
# shellcheck source=tests/tap.bash
. "${SZC_SOURCE:?}/tests/tap.bash"
here=$SZC_SOURCE/tests/install
prefix=$SZC_TMP/prefix
cd "${SZC_TMP:?}" || exit 1

check "cmake --install" cmake --install "$SZC_BUILD" --prefix "$prefix" || done_testing
libdir=$(dirname "$(find "$prefix" -name libszc.so -print -quit)")

# A copy without the shared libraries: the linker has only the static ones to take.
cp -a "$prefix" static
find static -name '*.so*' -delete
static_libdir=$SZC_TMP/static/${libdir#"$prefix"/}

check "a certificate for the tests" openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
	-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem

flags=(-Wall -Wextra -Werror -O1)
pkg()
{
	PKG_CONFIG_PATH=$1/pkgconfig pkg-config "${@:2}"
}

# compile LIBDIR OUTPUT SOURCE PKG-CONFIG-OPTION...
compile()
{
	local where=$1 output=$2 source=$3 compiler=(cc -std=c17 -D_GNU_SOURCE)
	shift 3
	[ "${source%.cpp}" = "$source" ] || compiler=(c++ -std=c++17)
	# shellcheck disable=SC2046 # pkg-config prints words
	"${compiler[@]}" "${flags[@]}" -o "$output" "$source" $(pkg "$where" "$@" --cflags --libs szc-psp)
}

run_with()
{
	LD_LIBRARY_PATH=$1 timeout 60 "${@:2}" cert.pem key.pem
}

links_to_szc()
{
	LD_LIBRARY_PATH=$libdir ldd "$1" | grep 'libszc'
}

for language in c cpp; do
	if check "pkg-config: $language compiles, shared" compile "$libdir" "shared_$language" "$here/consumer.$language"; then
		check "pkg-config: $language runs, shared" run_with "$libdir" "./shared_$language"
		check "pkg-config: $language uses the installed shared library" links_to_szc "./shared_$language"
	fi
	if check "pkg-config: $language compiles, static" \
		compile "$static_libdir" "static_$language" "$here/consumer.$language" --static; then
		check "pkg-config: $language runs, static" run_with /nowhere "./static_$language"
	fi
done

engine_only()
{
	# shellcheck disable=SC2046 # pkg-config prints words
	cc "${flags[@]}" -o engine_only "$here/engine_only.c" $(pkg "$libdir" --cflags --libs szc) &&
		LD_LIBRARY_PATH=$libdir ./engine_only && ! ldd ./engine_only | grep -E 'libssl|libcrypto'
}
check "pkg-config: the engine alone, without OpenSSL" engine_only

version_agrees()
{
	test "$(pkg "$libdir" --modversion szc)" = "$(LD_LIBRARY_PATH=$libdir ./engine_only | sed 's/szc \([^,]*\),.*/\1/')"
}
check "pkg-config and the library name the same version" version_agrees

for header in "$prefix"/include/szc/*.h; do
	name=$(basename "$header")
	check "$name stands alone in C" \
		cc -std=c11 "${flags[@]}" -pedantic -fsyntax-only -I "$prefix/include" -include "$header" -x c /dev/null
	check "$name stands alone in C++" \
		c++ -std=c++11 "${flags[@]}" -pedantic -fsyntax-only -I "$prefix/include" -include "$header" -x c++ /dev/null
done

if check "CMake: find_package(szc) configures" cmake -S "$here" -B cmake -DCMAKE_PREFIX_PATH="$prefix" \
	-DCMAKE_BUILD_TYPE=Debug && check "CMake: builds" cmake --build cmake --parallel; then
	for program in consumer_c consumer_cpp consumer_c_static consumer_cpp_static; do
		check "CMake: $program runs" timeout 60 "cmake/$program" cert.pem key.pem
	done
	check "CMake: engine_only runs" cmake/engine_only
fi

# A prefix is moved about by packagers.
mv "$prefix" "$SZC_TMP/elsewhere"
check "the installed program runs, wherever the prefix is" "$SZC_TMP/elsewhere/bin/zcrx-tls" --help
check "its man page is installed" test -s "$SZC_TMP/elsewhere/share/man/man1/zcrx-tls.1"
check "the functions' man pages are installed" test -s "$SZC_TMP/elsewhere/share/man/man3/szc_rx_open.3"
mv "$SZC_TMP/elsewhere" "$prefix"
done_testing
