add_executable(store_bench ${CMAKE_SOURCE_DIR}/tests/bench/store_bench.c
	${CMAKE_SOURCE_DIR}/tests/unit/storecase.c)
target_link_libraries(store_bench PRIVATE trien_store)
target_include_directories(store_bench PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
