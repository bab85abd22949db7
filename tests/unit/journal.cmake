trien_test(frame_test LINK trien_base)
trien_test(record_test LINK trien_journal)
# A journal whose disk the test holds in its hands.
foreach(test IN ITEMS journal_test mirrored_test replay_test)
	trien_test(${test} SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/journal_rig.c LINK trien_journal)
	target_link_options(${test} PRIVATE
		LINKER:--wrap=io_write_durable,--wrap=open,--wrap=fallocate)
	set_tests_properties(${test} PROPERTIES COST 20)
endforeach()
# Flushes, renames and writes that fail when told to.
trien_test(keyindex_test LINK trien_journal)
trien_test(livekeys_test LINK trien_journal)
trien_test(snapshot_test LINK trien_journal)
trien_test(waiting_test LINK trien_journal)
trien_test(waitindex_test LINK trien_journal)
target_link_options(keyindex_test PRIVATE LINKER:--wrap=fsync,--wrap=rename)
target_link_options(snapshot_test PRIVATE LINKER:--wrap=fsync,--wrap=rename)
target_link_options(waiting_test PRIVATE LINKER:--wrap=pwrite,--wrap=log_line)
target_link_options(waitindex_test PRIVATE LINKER:--wrap=db_run)
