# cmake -DSOURCE= -DBUILD= -DGENERATOR= -DOPTIONS= -P consume.cmake: configures, builds and runs a consumer, from nothing.
file(REMOVE_RECURSE "${BUILD}")
execute_process(COMMAND_ERROR_IS_FATAL ANY
  COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${BUILD}" -G "${GENERATOR}" ${OPTIONS}
          -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF -DCMAKE_FIND_USE_SYSTEM_PACKAGE_REGISTRY=OFF)
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND "${CMAKE_COMMAND}" --build "${BUILD}")
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND "${BUILD}/consumer")
