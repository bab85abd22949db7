trien_test(notify_test LINK trien_notify)
