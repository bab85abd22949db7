trien_test(histogram_test LINK trien_load)
trien_test(schedule_test LINK trien_load)
trien_test(prove_test LINK trien_load)
