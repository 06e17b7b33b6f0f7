# How tests become CTest tests. Labels: unit, static, reject, mistakes, headers, layering, scripts, install, example, fuzz.
include_guard()
include("${CMAKE_CURRENT_LIST_DIR}/DoctestDiscover.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/SfumatoReject.cmake")

# sfumato_add_unit_tests(<folder> <library> [<source>...]): tests/<folder>/*.cpp and further sources become the doctest
# program test_<folder>, and each test case the CTest test "<folder>: <case>". Sources that match SFUMATO_TESTS_LEFT_OUT do not.
function(sfumato_add_unit_tests folder library)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp")
  if(SFUMATO_TESTS_LEFT_OUT)
    list(FILTER sources EXCLUDE REGEX "${SFUMATO_TESTS_LEFT_OUT}")
  endif()
  if(NOT sources)
    return()
  endif()
  add_executable(test_${folder} ${sources} ${ARGN})
  target_include_directories(test_${folder} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_definitions(test_${folder} PRIVATE "SFUMATO_TESTS_DIR=\"${CMAKE_CURRENT_SOURCE_DIR}\"")
  target_link_libraries(test_${folder} PRIVATE ${library} doctest::doctest test_main)
  if(NOT folder STREQUAL "no_openmp")
    target_link_libraries(test_${folder} PRIVATE sfumato_cpu_kernels)
  endif()
  if(NOT folder STREQUAL "backend")
    target_compile_options(test_${folder} PRIVATE $<$<CONFIG:Release>:-O1>)  # compiled a fifth sooner
  endif()
  sfumato_discover_tests(test_${folder} ${folder} unit)
endfunction()

# sfumato_add_build_test(<test> <label> <target>...): the test is that the targets build.
function(sfumato_add_build_test test label)
  add_test(NAME ${test} COMMAND "${CMAKE_COMMAND}" --build "${CMAKE_BINARY_DIR}" --config $<CONFIG> --target ${ARGN})
  set_tests_properties(${test} PROPERTIES LABELS ${label} RESOURCE_LOCK build_tree TIMEOUT 3600)
endfunction()

# sfumato_add_program_test(<name> succeeds|fails <regex> <target> <argument>...): the CTest test example.<name> runs the
# program, which must end so, with output that matches.
function(sfumato_add_program_test name end regex target)
  add_test(NAME example.${name} COMMAND "${CMAKE_COMMAND}" -P "${PROJECT_SOURCE_DIR}/cmake/Expect.cmake" -- ${end} "${regex}" $<TARGET_FILE:${target}> ${ARGN})
  set_tests_properties(example.${name} PROPERTIES LABELS example)
endfunction()
