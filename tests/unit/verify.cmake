trien_test(report_test LINK trien_verify)
