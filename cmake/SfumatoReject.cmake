# Tests that a design does not compile, and says why; installed, for designs of your own.
include_guard()

# sfumato_add_reject_tests(<file>... [INCLUDE <folder>...]): each file must compile, and must not with -DSFUMATO_REJECT; then the compiler's
# words must match the regular expression in the file's first line: "// reject: <regex>". Two CTest tests a file,
# reject.<name>.accepts and reject.<name>. g++ prints a broken comparison behind the rule's id, clang in front of it, so that
# an expression for both reads "my-rule.*6 == 0|6 == 0.*my-rule".
function(sfumato_add_reject_tests)
  set(compile "${CMAKE_CXX_COMPILER}" ${CMAKE_CXX20_STANDARD_COMPILE_OPTION} -fsyntax-only)
  set(directories "$<TARGET_PROPERTY:sfumato::sfumato,INTERFACE_INCLUDE_DIRECTORIES>" ${arg_INCLUDE})
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "INCLUDE")
  foreach(file IN LISTS arg_UNPARSED_ARGUMENTS)
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    cmake_path(GET file STEM name)
    file(STRINGS "${file}" first_line LIMIT_COUNT 1)
    if(NOT first_line MATCHES "^// reject: (.+)$")
      message(FATAL_ERROR "${file}: the first line must be '// reject: <regex>'")
    endif()
    add_test(NAME reject.${name}.accepts COMMAND_EXPAND_LISTS
      COMMAND ${compile} "-I$<JOIN:${directories},;-I>" "${file}")
    add_test(NAME reject.${name} COMMAND_EXPAND_LISTS
      COMMAND "${CMAKE_COMMAND}" -P "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/Expect.cmake" -- fails "${CMAKE_MATCH_1}"
              ${compile} "-I$<JOIN:${directories},;-I>" -DSFUMATO_REJECT "${file}")
    set_tests_properties(reject.${name}.accepts reject.${name} PROPERTIES LABELS reject)
  endforeach()
endfunction()
