set(RAWCASE ${CMAKE_SOURCE_DIR}/tests/unit/rawcase.c)
trien_test(raw_test SOURCES ${RAWCASE} LINK trien_intake_wire)
trien_test(validate_test SOURCES ${RAWCASE} LINK trien_intake_wire)
trien_test(turn_test LINK trien_intake_turn trien_base)
