# What end-to-end tests load into programs: never instrumented, or others' would not start.
foreach(module full_disk slow_token)
	add_library(${module} MODULE ${CMAKE_SOURCE_DIR}/tests/e2e/${module}.c)
	target_compile_definitions(${module} PRIVATE _GNU_SOURCE)
	target_compile_options(${module} PRIVATE -Wall -Wextra -Wshadow -Wstrict-prototypes)
	target_link_libraries(${module} PRIVATE ${CMAKE_DL_LIBS})
	set_target_properties(${module} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY
		${CMAKE_BINARY_DIR}/tests)
endforeach()
target_include_directories(slow_token SYSTEM PRIVATE ${p11_kit_1_INCLUDE_DIRS})
