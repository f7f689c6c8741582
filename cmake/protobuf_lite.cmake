# protobuf_lite(TARGET IMPORT_DIR FILES...): C++ for .proto files, for protobuf's small runtime, into the build tree.
#
# Debian's libprotobuf-lite has no Any and Timestamp (they are in the full library, which is ten times larger): they are
# compiled here from protobuf's own .proto files by `protoc --cpp_out=lite:`.
find_program(PROTOC protoc REQUIRED)
find_library(PROTOBUF_LITE_LIBRARY NAMES libprotobuf-lite.a REQUIRED)
find_path(PROTOBUF_INCLUDE google/protobuf/any.proto REQUIRED)

function(protobuf_lite target import)
  set(out ${CMAKE_BINARY_DIR}/proto)
  file(MAKE_DIRECTORY ${out})
  set(generated)
  foreach(file ${ARGN})
    string(REGEX REPLACE "\\.proto$" "" stem ${file})
    set(source ${import}/${file})
    add_custom_command(
      OUTPUT ${out}/${stem}.pb.cc ${out}/${stem}.pb.h
      COMMAND ${PROTOC} --cpp_out=lite:${out} -I${import} -I${PROTOBUF_INCLUDE} ${file}
      DEPENDS ${source}
      VERBATIM)
    list(APPEND generated ${out}/${stem}.pb.cc ${out}/${stem}.pb.h)
  endforeach()
  add_library(${target} STATIC ${generated})
  target_include_directories(${target} SYSTEM BEFORE PUBLIC ${out})
  target_compile_options(${target} PRIVATE -w)  # generated text isn't ours to mend
  target_link_libraries(${target} PUBLIC ${PROTOBUF_LITE_LIBRARY} Threads::Threads)
endfunction()
