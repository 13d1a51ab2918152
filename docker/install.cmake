# What is installed where: `runtime` is the binary alone, for the image; `system` is what a Debian system gets besides.
# CPack makes the package from both (./dev package).
install(TARGETS weir RUNTIME DESTINATION bin COMPONENT runtime)
install(FILES docker/weir.service DESTINATION lib/systemd/system COMPONENT system)
install(FILES config/weir.yaml DESTINATION /etc/weir COMPONENT system)
install(FILES docker/package/environment DESTINATION /etc/weir COMPONENT system PERMISSIONS OWNER_READ OWNER_WRITE)
install(FILES README.md CHANGELOG.md DESTINATION share/doc/weir COMPONENT system)
install(DIRECTORY docs DESTINATION share/doc/weir COMPONENT system FILES_MATCHING PATTERN "*.md")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_SOURCE_DIR}/build/package)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL OFF)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_NAME weir)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The maintainers of weir <weir@localhost>")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
  "Programs keep their OpenAI or Anthropic SDK and change the base URL. Calls wait\nfor room in the limits of key, team, account and model, instead of failing.")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/docker/package/conffiles ${CMAKE_SOURCE_DIR}/docker/package/postinst
  ${CMAKE_SOURCE_DIR}/docker/package/prerm ${CMAKE_SOURCE_DIR}/docker/package/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
