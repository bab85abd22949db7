add_executable(press_bench ${CMAKE_SOURCE_DIR}/tests/bench/press_bench.c
	${CMAKE_SOURCE_DIR}/tests/unit/leaf.c ${CMAKE_SOURCE_DIR}/tests/unit/paper.c)
target_include_directories(press_bench PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
target_link_libraries(press_bench PRIVATE trien_render trien_sign trien_devca)
# Allocations of our own code alone: libraries are linked already.
target_link_options(press_bench PRIVATE
	-Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)

add_executable(copies_bench ${CMAKE_SOURCE_DIR}/tests/bench/copies_bench.c
	${CMAKE_SOURCE_DIR}/tests/unit/leaf.c ${CMAKE_SOURCE_DIR}/tests/unit/copyrig.c)
target_include_directories(copies_bench PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
target_compile_definitions(copies_bench PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
target_link_libraries(copies_bench PRIVATE trien_render)
# A page's 0.2 ms, as a share of what the hash of its file takes: whatever the core.
if(NOT SANITIZE)
	add_test(NAME copies_bench COMMAND copies_bench --share 0.4)
	set_tests_properties(copies_bench PROPERTIES TIMEOUT 120)
endif()
