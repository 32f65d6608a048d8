# SPDX-License-Identifier: MIT
# szc_library(<name> EXPORT <name in szc::> MAP <version map> SOURCES ... PUBLIC <libraries> PRIVATE <libraries>)
#
# One compilation (<name>_objects), and from it the shared library <name> and the static library <name>_static. PUBLIC
# libraries are those whose headers ours include; a library of this project is named by its shared target, and the static
# library takes its static twin.
function(szc_library name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "EXPORT;MAP" "SOURCES;PUBLIC;PRIVATE")

	set(public_static "")
	foreach(library IN LISTS arg_PUBLIC)
		if(TARGET ${library}_static)
			list(APPEND public_static ${library}_static)
		else()
			list(APPEND public_static ${library})
		endif()
	endforeach()

	add_library(${name}_objects OBJECT ${arg_SOURCES})
	target_include_directories(${name}_objects PRIVATE ${PROJECT_SOURCE_DIR}/include)
	target_link_libraries(${name}_objects PRIVATE szc_flags ${arg_PRIVATE} ${public_static})

	add_library(${name} SHARED $<TARGET_OBJECTS:${name}_objects>)
	set(map ${CMAKE_CURRENT_SOURCE_DIR}/${arg_MAP})
	target_link_options(${name} PRIVATE LINKER:--version-script=${map})
	# The sanitizers' symbols are found only in the final program.
	if(NOT szc_sanitize)
		target_link_options(${name} PRIVATE LINKER:-z,defs)
	endif()
	set_target_properties(${name} PROPERTIES
		LINK_DEPENDS ${map} VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
	target_link_libraries(${name} PUBLIC ${arg_PUBLIC})

	add_library(${name}_static STATIC $<TARGET_OBJECTS:${name}_objects>)
	set_target_properties(${name}_static PROPERTIES OUTPUT_NAME ${name})
	target_link_libraries(${name}_static PUBLIC ${public_static})

	foreach(variant "" "_static")
		set(target ${name}${variant})
		set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C EXPORT_NAME ${arg_EXPORT}${variant})
		target_include_directories(${target} INTERFACE
			$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
		target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:szc_flags> ${arg_PRIVATE})
		add_library(szc::${arg_EXPORT}${variant} ALIAS ${target})
	endforeach()
endfunction()
