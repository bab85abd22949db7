set(RAWCASE ${CMAKE_SOURCE_DIR}/tests/unit/rawcase.c)
trien_test(raw_test SOURCES ${RAWCASE} LINK trien_intake_wire)
trien_test(validate_test SOURCES ${RAWCASE} LINK trien_intake_wire)
trien_test(turn_test LINK trien_intake_turn trien_base)
trien_test(principals_test LINK trien_intake)
trien_test(judge_test LINK trien_intake)
# A desk without an engine: its catalogue is the test's.
trien_test(desk_test LINK trien_intake)
target_link_options(desk_test PRIVATE LINKER:--wrap=catalogue_signer,--wrap=catalogue_unit
	LINKER:--wrap=catalogue_kind,--wrap=catalogue_unref)
trien_test(bell_test LINK trien_intake)
# Given signatures without gRPC or engine.
trien_test(signatures_test LINK trien_intake)
target_link_options(signatures_test PRIVATE LINKER:--wrap=read_request,--wrap=call_reply
	LINKER:--wrap=call_refuse,--wrap=principal_signer,--wrap=principal_name)
