trien_test(check_test LINK trien_catalogue)
