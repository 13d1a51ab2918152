# What is installed where: `runtime` is the binary alone, for the image; `system` is what a Debian system gets besides.
# Packages are made by CPack (./dev package).
include(GNUInstallDirs)
install(TARGETS weir RUNTIME DESTINATION bin COMPONENT runtime)
