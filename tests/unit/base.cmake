trien_test(hash_test LINK trien_base)
trien_test(queue_test LINK trien_base)
trien_test(utf8_test LINK trien_base)
trien_test(states_test LINK trien_base)
