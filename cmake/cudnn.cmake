# cuDNN's attention for the CUDA back end, as pg_cudnn. Its C++ front end is a package of headers that only PyPI has
# (scripts/fetch_cudnn_frontend.sh); cuDNN's own headers come with it or with the CUDA toolkit. The library is opened at run
# time, where a device is asked for with it, so a build has this or says what it lacks and goes on.
set(PG_HAVE_CUDNN OFF)
find_path(CUDNN_FRONTEND_INCLUDE_DIR cudnn_frontend.h PATHS ${CMAKE_SOURCE_DIR}/build-cudnn/include)
find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
if(NOT CUDNN_FRONTEND_INCLUDE_DIR)
  message(STATUS "cuDNN: not compiled in, its C++ front end is missing; scripts/fetch_cudnn_frontend.sh fetches it")
elseif(NOT CUDNN_INCLUDE_DIR)
  message(STATUS "cuDNN: not compiled in, cudnn.h is missing; install cuDNN 9")
else()
  message(STATUS "cuDNN: compiled in, from ${CUDNN_FRONTEND_INCLUDE_DIR} and ${CUDNN_INCLUDE_DIR}")
  set(PG_HAVE_CUDNN ON)
endif()

if(PG_HAVE_CUDNN)
  add_library(pg_cudnn OBJECT src/device/cuda/cudnn/cudnn_attention.cpp)
  # It makes plans and gives work; -O3 doubles what the headers take to compile.
  target_compile_options(pg_cudnn PRIVATE -O1)
  target_include_directories(pg_cudnn SYSTEM PRIVATE ${CUDNN_FRONTEND_INCLUDE_DIR} ${CUDNN_INCLUDE_DIR} ${CUDAToolkit_INCLUDE_DIRS})
else()
  add_library(pg_cudnn OBJECT src/device/cuda/cudnn/no_cudnn_attention.cpp)
endif()
target_link_libraries(pg_cudnn PRIVATE pg_options ${CMAKE_DL_LIBS})
set_target_properties(pg_cudnn PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
  UNITY_BUILD OFF)
