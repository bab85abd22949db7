# The rules that a script can check, and whether it would notice.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME tidy
	COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tests/tidy.py ${CMAKE_SOURCE_DIR})
add_test(NAME tidy_self
	COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tests/tidy.py --self-test)
set_tests_properties(tidy tidy_self PROPERTIES TIMEOUT 60)
