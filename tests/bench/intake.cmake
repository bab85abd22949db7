add_executable(boundary_bench ${CMAKE_SOURCE_DIR}/tests/bench/boundary_bench.c
	${CMAKE_SOURCE_DIR}/tests/bench/boundary_server.c)
target_include_directories(boundary_bench PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
target_compile_definitions(boundary_bench PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
target_link_libraries(boundary_bench PRIVATE trien_intake trien_cli trien_render_base trien_devca
	PkgConfig::jansson PkgConfig::grpc)
