add_executable(store_bench ${CMAKE_SOURCE_DIR}/tests/bench/store_bench.c
	${CMAKE_SOURCE_DIR}/tests/unit/storecase.c)
target_link_libraries(store_bench PRIVATE trien_store)
target_include_directories(store_bench PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)

add_executable(postgres_bench ${CMAKE_SOURCE_DIR}/tests/bench/postgres_bench.c
	${CMAKE_SOURCE_DIR}/tests/bench/pgcluster.c ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c)
target_link_libraries(postgres_bench PRIVATE trien_store_postgres)
target_include_directories(postgres_bench PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
