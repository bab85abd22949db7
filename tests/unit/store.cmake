trien_test(batchwriter_test LINK trien_store)
trien_test(store_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame.c LINK trien_store)
trien_test(store_faults_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c LINK trien_store)
trien_test(pgkeys_test LINK trien_store_postgres)
trien_test(pgservers_test LINK trien_store_postgres)
