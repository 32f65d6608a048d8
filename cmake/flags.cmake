# SPDX-License-Identifier: MIT
# Compiler flags of everything in the tree, as one interface target.

add_library(szc_flags INTERFACE)
# Empty, as a source that says so itself has it.
target_compile_definitions(szc_flags INTERFACE _GNU_SOURCE=)
target_compile_options(szc_flags INTERFACE
	-Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wvla
	$<$<BOOL:${SZC_WERROR}>:-Werror>)

set(szc_sanitize "${SZC_SANITIZE}")
if(SZC_FUZZ)
	if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
		message(FATAL_ERROR "SZC_FUZZ needs clang: use the preset 'fuzz', or set CMAKE_C_COMPILER")
	endif()
	set(szc_sanitize "fuzzer-no-link,${SZC_SANITIZE}")
	string(REGEX REPLACE ",$" "" szc_sanitize "${szc_sanitize}")
endif()
if(szc_sanitize)
	target_compile_options(szc_flags INTERFACE
		-fsanitize=${szc_sanitize} -fno-sanitize-recover=all -fno-omit-frame-pointer)
	target_link_options(szc_flags INTERFACE -fsanitize=${szc_sanitize})
endif()
