# cmake -DSOURCE= -DBUILD= -DGENERATOR= -DOPTIONS= -P consume.cmake: configures, builds and runs a consumer, from nothing, and its tests.
file(REMOVE_RECURSE "${BUILD}")
execute_process(COMMAND_ERROR_IS_FATAL ANY
  COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${BUILD}" -G "${GENERATOR}" ${OPTIONS}
          -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF -DCMAKE_FIND_USE_SYSTEM_PACKAGE_REGISTRY=OFF)
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND "${CMAKE_COMMAND}" --build "${BUILD}")
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND "${BUILD}/consumer" WORKING_DIRECTORY "${BUILD}")
if(EXISTS "${BUILD}/CTestTestfile.cmake")
  execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND "${CMAKE_CTEST_COMMAND}" --test-dir "${BUILD}" --output-on-failure --no-tests=error)
endif()
