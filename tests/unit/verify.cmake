trien_test(report_test LINK trien_verify)
trien_test(verify_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/leaf.c
	${CMAKE_SOURCE_DIR}/tests/unit/paper.c PARTS files rsa p256
	LINK trien_render trien_sign trien_devca trien_verify)
# Every byte of two documents each in ./run soak.
set_tests_properties(verify_test_rsa verify_test_p256 PROPERTIES TIMEOUT 7200)
trien_test(chain_test LINK trien_verify)
trien_test(same_test LINK trien_verify)
trien_test(hostile_test LINK trien_verify)
