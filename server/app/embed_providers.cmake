# Compiles config/providers/*.yaml into the binary: writes a .cpp that defines what app/embedded_files.hpp declares.
#   weir_embed_providers(OUT_VARIABLE): the path of the generated file.
include(${CMAKE_CURRENT_LIST_DIR}/../hex_pieces.cmake)

function(weir_embed_providers out)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/config/providers/*.yaml)
  list(SORT files)
  set(names "")
  set(cases "")
  foreach(file ${files})
    get_filename_component(name ${file} NAME_WE)
    weir_hex_pieces(${file} pieces)
    string(APPEND cases "  if (name == \"${name}\") {\n    static constexpr char text[] =${pieces};\n"
                        "    return {text, sizeof text - 1};\n  }\n")
    string(APPEND names "\"${name}\", ")
  endforeach()
  set(generated ${CMAKE_BINARY_DIR}/generated/embedded_files.cpp)
  string(CONCAT content "// Generated from config/providers/*.yaml.\n#include \"app/embedded_files.hpp\"\n\nnamespace weir::app {\n\n"
              "std::string_view embedded_provider(std::string_view name) {\n${cases}  return {};\n}\n\n"
              "std::vector<std::string_view> embedded_provider_names() { return {${names}}; }\n\n}  // namespace weir::app\n")
  file(GENERATE OUTPUT ${generated} CONTENT "${content}")
  set(${out} ${generated} PARENT_SCOPE)
endfunction()
