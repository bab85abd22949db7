trien_test(remote_wire_test LINK trien_remote)
trien_test(remote_services_test LINK trien_remote)
trien_test(remote_desk_test LINK trien_remote trien_devca)
