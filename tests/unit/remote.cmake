trien_test(remote_wire_test LINK trien_remote)
trien_test(remote_services_test LINK trien_remote)
trien_test(remote_desk_test LINK trien_remote trien_devca)
trien_test(asking_test SOURCES ${CMAKE_SOURCE_DIR}/engine/spine/asking.c LINK trien_remote)
