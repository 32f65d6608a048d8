# SPDX-License-Identifier: MIT
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/szc)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/szc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
# The static libraries need more of the machine than the shared ones, so they are an export of their own.
foreach(library szc szc-tls szc-psp)
	install(TARGETS ${library} EXPORT szc-targets)
	install(TARGETS ${library}_static EXPORT szc-static-targets)
endforeach()
install(EXPORT szc-targets NAMESPACE szc:: DESTINATION ${package_dir})
install(EXPORT szc-static-targets NAMESPACE szc:: DESTINATION ${package_dir})

configure_package_config_file(cmake/szc-config.cmake.in ${PROJECT_BINARY_DIR}/szc-config.cmake
	INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may break the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/szc-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/szc-config.cmake ${PROJECT_BINARY_DIR}/szc-config-version.cmake
	DESTINATION ${package_dir})

# Relative to the file itself: `cmake --install --prefix` may choose another prefix than the one configured.
file(RELATIVE_PATH pc_to_prefix /${pkgconfig_dir} /)
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")
foreach(name szc szc-tls szc-psp)
	configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
	install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${pkgconfig_dir})
endforeach()

foreach(section 1 3 7)
	file(GLOB pages CONFIGURE_DEPENDS man/*.${section})
	install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
install(FILES README.md ARCHITECTURE.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
install(FILES examples/receive.c DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
