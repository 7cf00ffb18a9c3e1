# Warnings, sanitizers and ccache for Shoal's own code.
find_program(SHOAL_CCACHE ccache)
if(SHOAL_CCACHE)
  # Paths count relative to the checkout, so that another clone and another build folder find what this one compiled.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${SHOAL_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

add_library(shoal_compiler INTERFACE)
target_compile_options(shoal_compiler INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)
target_include_directories(shoal_compiler INTERFACE ${CMAKE_SOURCE_DIR}/src)

if(SHOAL_SANITIZE)
  string(REPLACE ";" "," sanitizers "${SHOAL_SANITIZE}")
  set(sanitize_flags -fsanitize=${sanitizers} -fno-omit-frame-pointer)
  if("undefined" IN_LIST SHOAL_SANITIZE)
    list(APPEND sanitize_flags -fno-sanitize-recover=undefined)
  endif()
  target_compile_options(shoal_compiler INTERFACE ${sanitize_flags})
  target_link_options(shoal_compiler INTERFACE ${sanitize_flags})
endif()
