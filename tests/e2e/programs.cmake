# What end-to-end tests load into programs of others: never instrumented, or those would not start.
add_library(full_disk MODULE ${CMAKE_SOURCE_DIR}/tests/e2e/full_disk.c)
target_compile_definitions(full_disk PRIVATE _GNU_SOURCE)
target_compile_options(full_disk PRIVATE -Wall -Wextra -Wshadow -Wstrict-prototypes)
target_link_libraries(full_disk PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(full_disk PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY
	${CMAKE_BINARY_DIR}/tests)
