trien_test(batchwriter_test LINK trien_store)
trien_test(store_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame_counts.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame_lives.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame_reads.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame_shares.c LINK trien_store)
trien_test(look_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame_counts.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame_lives.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame_reads.c
	${CMAKE_SOURCE_DIR}/tests/unit/storesame_shares.c LINK trien_store)
trien_test(store_faults_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c LINK trien_store)
set_tests_properties(store_faults_test PROPERTIES COST 15)
trien_test(pgkeys_test LINK trien_store_postgres)
trien_test(pgfolding_test LINK trien_store_postgres)
trien_test(pgstatements_test LINK trien_store_postgres)
trien_test(pgservers_test LINK trien_store_postgres)
trien_test(pgparams_test LINK trien_store_postgres)
trien_test(pgwork_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c LINK trien_store_postgres)
# With a server of its own, where one is installed.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(same storecase.c storesame.c storesame_counts.c storesame_lives.c storesame_reads.c
	storesame_shares.c pgrig.c)
set(with_server ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/unit/with_postgres.py)
list(TRANSFORM same PREPEND ${CMAKE_SOURCE_DIR}/tests/unit/)
trien_test(pgstore_test SOURCES ${same} LINK trien_store_postgres RUN ${with_server}
	PARTS one four citus)
trien_test(pgdeep_test SOURCES ${same} LINK trien_store_postgres RUN ${with_server})
trien_test(pgoriginals_test SOURCES ${same} LINK trien_store_postgres RUN ${with_server})
# The longest ones begin first; most of their time is the server's, so ./run test has them once.
set_tests_properties(pgstore_test_one pgstore_test_four pgstore_test_citus pgdeep_test
	PROPERTIES TIMEOUT 300 COST 60 LABELS server)
set_tests_properties(pgoriginals_test PROPERTIES LABELS server)
trien_test(pgoutage_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/storecase.c
	LINK trien_store_postgres
	RUN ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/unit/with_postgres.py)
