trien_test(batchwriter_test LINK trien_store)
trien_test(store_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame.c LINK trien_store)
trien_test(store_faults_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c LINK trien_store)
trien_test(pgkeys_test LINK trien_store_postgres)
trien_test(pgfolding_test LINK trien_store_postgres)
trien_test(pgstatements_test LINK trien_store_postgres)
trien_test(pgservers_test LINK trien_store_postgres)
trien_test(pgparams_test LINK trien_store_postgres)
trien_test(pgwork_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c LINK trien_store_postgres)
# With a server of its own, where one is installed.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(test IN ITEMS pgstore_test pgdeep_test)
	trien_test(${test} SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c
		${CMAKE_SOURCE_DIR}/tests/unit/storesame.c ${CMAKE_SOURCE_DIR}/tests/unit/pgrig.c
		LINK trien_store_postgres
		RUN ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/unit/with_postgres.py)
	set_tests_properties(${test} PROPERTIES TIMEOUT 300)
endforeach()
trien_test(pgoutage_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c
	LINK trien_store_postgres
	RUN ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/unit/with_postgres.py)
