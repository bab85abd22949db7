add_executable(journal_bench ${CMAKE_SOURCE_DIR}/tests/bench/journal_bench.c)
target_link_libraries(journal_bench PRIVATE trien_journal PkgConfig::jansson)
add_executable(keyindex_bench ${CMAKE_SOURCE_DIR}/tests/bench/keyindex_bench.c)
target_link_libraries(keyindex_bench PRIVATE trien_journal PkgConfig::jansson)
