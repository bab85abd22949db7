add_executable(verify_bench ${CMAKE_SOURCE_DIR}/tests/bench/verify_bench.c
	${CMAKE_SOURCE_DIR}/tests/unit/leaf.c ${CMAKE_SOURCE_DIR}/tests/unit/paper.c)
target_include_directories(verify_bench PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
target_link_libraries(verify_bench PRIVATE trien_render trien_sign trien_devca trien_verify)
# Called by audit_bench.py.
add_executable(judge_rate ${CMAKE_SOURCE_DIR}/tests/bench/judge_rate.c)
target_link_libraries(judge_rate PRIVATE trien_verify Threads::Threads)
