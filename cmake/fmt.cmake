# fmt::fmt as a static library (see fmt.cc).
find_path(FMT_INCLUDE fmt/format-inl.h REQUIRED)
add_library(bulkhead_fmt STATIC ${CMAKE_SOURCE_DIR}/cmake/fmt.cc)
target_compile_options(bulkhead_fmt PRIVATE -w)  # others' text isn't ours to mend
add_library(fmt::fmt ALIAS bulkhead_fmt)
