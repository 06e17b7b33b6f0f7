# Install rules. Header-only, so everything goes to include/ and share/, whatever the architecture.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(sfumato_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/sfumato")

install(TARGETS sfumato EXPORT sfumatoTargets FILE_SET HEADERS FILE_SET fragments)
install(EXPORT sfumatoTargets NAMESPACE sfumato:: DESTINATION "${sfumato_package_dir}")
if(SFUMATO_IO)
  install(TARGETS sfumato_io EXPORT sfumatoIoTargets FILE_SET HEADERS)
  install(EXPORT sfumatoIoTargets NAMESPACE sfumato:: DESTINATION "${sfumato_package_dir}")
  install(FILES "${CMAKE_CURRENT_LIST_DIR}/FindStb.cmake" DESTINATION "${sfumato_package_dir}")
endif()

if(SFUMATO_CUDA)
  install(TARGETS sfumato_cuda EXPORT sfumatoCudaTargets)
  install(EXPORT sfumatoCudaTargets NAMESPACE sfumato:: DESTINATION "${sfumato_package_dir}")
  install(FILES "${CMAKE_CURRENT_LIST_DIR}/Cuda.cmake" "${CMAKE_CURRENT_LIST_DIR}/cuda_kernels.cu" DESTINATION "${sfumato_package_dir}")
endif()

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/sfumatoConfig.cmake.in" sfumatoConfig.cmake
  INSTALL_DESTINATION "${sfumato_package_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(sfumatoConfigVersion.cmake COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/sfumatoConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/sfumatoConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/SfumatoReject.cmake" "${CMAKE_CURRENT_LIST_DIR}/Expect.cmake"
  DESTINATION "${sfumato_package_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/sfumato")
