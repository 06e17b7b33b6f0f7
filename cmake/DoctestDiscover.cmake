# Registers every test case of a doctest program with CTest, as doctest_discover_tests of doctest's own doctest.cmake
# does; that one stumbles over names with a single bracket or a semicolon, such as "uniform in [0, 1)".
#
# sfumato_discover_tests(<target> <prefix> <label>) lists the test cases after each build of the program. The same file,
# run as a script by that build step, writes what CTest includes.

if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(SFUMATO_DOCTEST_DISCOVER "${CMAKE_CURRENT_LIST_FILE}")
  function(sfumato_discover_tests target prefix label)
    set(tests "${CMAKE_CURRENT_BINARY_DIR}/${target}_tests.cmake")
    add_custom_command(TARGET ${target} POST_BUILD BYPRODUCTS "${tests}" VERBATIM
      COMMAND "${CMAKE_COMMAND}" "-DPROGRAM=$<TARGET_FILE:${target}>" "-DPREFIX=${prefix}" "-DLABEL=${label}"
              "-DTESTS=${tests}" -P "${SFUMATO_DOCTEST_DISCOVER}")
    set(include "${CMAKE_CURRENT_BINARY_DIR}/${target}_include.cmake")
    file(WRITE "${include}" "if(EXISTS \"${tests}\")\n  include(\"${tests}\")\n"
                            "else()\n  add_test(${target}_is_not_built ${target}_is_not_built)\nendif()\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${include}")
  endfunction()
  return()
endif()

execute_process(COMMAND "${PROGRAM}" --list-test-cases OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)

set(script "")
while(output MATCHES "\n")
  string(FIND "${output}" "\n" end)  # not a list of lines: a list breaks on brackets and semicolons
  string(SUBSTRING "${output}" 0 ${end} name)
  math(EXPR end "${end} + 1")
  string(SUBSTRING "${output}" ${end} -1 output)
  if(name MATCHES "^(\\[doctest\\] .*|=+)$")
    continue()
  endif()
  # '?' is any character to doctest, where others would need escapes.
  string(REGEX REPLACE "[^A-Za-z0-9 _.:()<>-]" "?" filter "${name}")
  string(APPEND script
    "add_test([==[${PREFIX}: ${name}]==] [==[${PROGRAM}]==] [==[--test-case=${filter}]==])\n"
    # A filter that matches nothing succeeds in doctest: it must fail here.
    "set_tests_properties([==[${PREFIX}: ${name}]==] PROPERTIES LABELS ${LABEL} FAIL_REGULAR_EXPRESSION [==[test cases: +0 \\|]==])\n")
endwhile()
file(WRITE "${TESTS}" "${script}")
