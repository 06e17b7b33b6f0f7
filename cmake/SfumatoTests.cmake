# How tests become CTest tests. Labels: unit, static, reject, headers, layering, scripts, install, example, fuzz.
include_guard()
include("${CMAKE_CURRENT_LIST_DIR}/DoctestDiscover.cmake")

# sfumato_add_unit_tests(<folder> <library>): tests/<folder>/*.cpp become the doctest program test_<folder>, and each
# test case the CTest test "<folder>: <case>".
function(sfumato_add_unit_tests folder library)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp")
  if(NOT sources)
    return()
  endif()
  add_executable(test_${folder} ${sources})
  target_include_directories(test_${folder} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_definitions(test_${folder} PRIVATE "SFUMATO_TESTS_DIR=\"${CMAKE_CURRENT_SOURCE_DIR}\"")
  target_link_libraries(test_${folder} PRIVATE ${library} doctest::doctest test_main)
  sfumato_discover_tests(test_${folder} ${folder} unit)
endfunction()

# sfumato_add_build_test(<test> <label> <target>...): the test is that the targets build.
function(sfumato_add_build_test test label)
  add_test(NAME ${test} COMMAND "${CMAKE_COMMAND}" --build "${CMAKE_BINARY_DIR}" --config $<CONFIG> --target ${ARGN})
  set_tests_properties(${test} PROPERTIES LABELS ${label} RESOURCE_LOCK build_tree TIMEOUT 3600)
endfunction()

# sfumato_add_reject_tests(<file>...): each file must compile, and must not with -DSFUMATO_REJECT; then the compiler's
# words must match the regular expression in the file's first line: "// reject: <regex>".
function(sfumato_add_reject_tests)
  set(compile "${CMAKE_CXX_COMPILER}" ${CMAKE_CXX20_STANDARD_COMPILE_OPTION} -fsyntax-only)
  set(directories "$<TARGET_PROPERTY:sfumato,INTERFACE_INCLUDE_DIRECTORIES>")
  foreach(file IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    cmake_path(GET file STEM name)
    file(STRINGS "${file}" first_line LIMIT_COUNT 1)
    if(NOT first_line MATCHES "^// reject: (.+)$")
      message(FATAL_ERROR "${file}: the first line must be '// reject: <regex>'")
    endif()
    add_test(NAME reject.${name}.accepts COMMAND_EXPAND_LISTS
      COMMAND ${compile} "-I$<JOIN:${directories},;-I>" "${file}")
    add_test(NAME reject.${name} COMMAND_EXPAND_LISTS
      COMMAND "${CMAKE_COMMAND}" -P "${PROJECT_SOURCE_DIR}/cmake/Expect.cmake" -- fails "${CMAKE_MATCH_1}"
              ${compile} "-I$<JOIN:${directories},;-I>" -DSFUMATO_REJECT "${file}")
    set_tests_properties(reject.${name}.accepts reject.${name} PROPERTIES LABELS reject)
  endforeach()
endfunction()

# sfumato_add_program_test(<name> succeeds|fails <regex> <target> <argument>...): the CTest test example.<name> runs the
# program, which must end so, with output that matches.
function(sfumato_add_program_test name end regex target)
  add_test(NAME example.${name} COMMAND "${CMAKE_COMMAND}" -P "${PROJECT_SOURCE_DIR}/cmake/Expect.cmake" -- ${end} "${regex}" $<TARGET_FILE:${target}> ${ARGN})
  set_tests_properties(example.${name} PROPERTIES LABELS example)
endfunction()
