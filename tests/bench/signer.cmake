add_executable(rawsign_bench ${CMAKE_SOURCE_DIR}/tests/bench/rawsign_bench.c)
target_link_libraries(rawsign_bench PRIVATE trien_flags OpenSSL::Crypto Threads::Threads)
