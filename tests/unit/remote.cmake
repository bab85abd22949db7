trien_test(remote_wire_test LINK trien_remote)
trien_test(remote_services_test LINK trien_remote)
trien_test(remote_desk_test LINK trien_remote trien_devca)
trien_test(asking_test SOURCES ${CMAKE_SOURCE_DIR}/engine/spine/asking.c LINK trien_remote)
trien_test(childlink_test SOURCES ${CMAKE_SOURCE_DIR}/engine/spine/childlink.c LINK trien_io)
trien_test(awaitedkey_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/paper.c
	LINK trien_spine trien_remote trien_sign trien_devca)
trien_test(elsewhere_test LINK trien_spine trien_remote)
target_link_options(elsewhere_test PRIVATE LINKER:--wrap=malloc,--wrap=calloc,--wrap=job_push
	LINKER:--wrap=append_record,--wrap=journal_slots_free,--wrap=inflight_get
	LINKER:--wrap=spine_keyring,--wrap=keyring_unref,--wrap=key_asked,--wrap=keyring_row)
