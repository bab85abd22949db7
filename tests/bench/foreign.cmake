add_executable(foreign_bench ${CMAKE_SOURCE_DIR}/tests/bench/foreign_bench.c)
target_link_libraries(foreign_bench PRIVATE trien_look PkgConfig::jansson)
target_compile_definitions(foreign_bench PRIVATE PROGRAM="$<TARGET_FILE:trien-foreign>")
add_dependencies(foreign_bench trien-foreign)
