trien_test(protojson_test LINK trien_cli)
trien_test(failure_test SOURCES ${CMAKE_SOURCE_DIR}/engine/intake/fault.c
	${CMAKE_SOURCE_DIR}/engine/reason.c LINK trien_cli trien_intake_wire)
trien_test(caselines_test LINK trien_cli)
trien_test(options_test LINK trien_cli)
trien_test(backup_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c LINK trien_datatools)
trien_test(bookcheck_test LINK trien_bookcheck)
trien_test(audit_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/leaf.c
	${CMAKE_SOURCE_DIR}/tests/unit/paper.c LINK trien_audit trien_render trien_sign trien_devca)
