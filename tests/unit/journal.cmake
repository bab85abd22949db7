trien_test(frame_test LINK trien_base)
