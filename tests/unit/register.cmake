trien_test(register_test LINK trien_register)
