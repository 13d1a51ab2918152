# Compiles status.html into the binary: writes a .cpp that defines what proxy/status_answers.hpp declares.
#   weir_embed_page(OUT_VARIABLE): the path of the generated file.
include(${CMAKE_CURRENT_LIST_DIR}/../../hex_pieces.cmake)

function(weir_embed_page out)
  weir_hex_pieces(${CMAKE_SOURCE_DIR}/server/proxy/page/status.html pieces)
  set(generated ${CMAKE_BINARY_DIR}/generated/status_page.cpp)
  string(CONCAT content "// Generated from server/proxy/page/status.html.\n#include \"proxy/status_answers.hpp\"\n\n"
              "namespace weir::proxy {\n\nstd::string_view status_page() {\n  static constexpr char text[] =${pieces};\n"
              "  return {text, sizeof text - 1};\n}\n\n}  // namespace weir::proxy\n")
  file(GENERATE OUTPUT ${generated} CONTENT "${content}")
  set(${out} ${generated} PARENT_SCOPE)
endfunction()
