trien_test(session_test LINK trien_session)
