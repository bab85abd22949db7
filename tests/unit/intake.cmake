set(RAWCASE ${CMAKE_SOURCE_DIR}/tests/unit/rawcase.c)
trien_test(raw_test SOURCES ${RAWCASE} LINK trien_intake_wire)
trien_test(validate_test SOURCES ${RAWCASE} LINK trien_intake_wire)
trien_test(turn_test LINK trien_intake_turn trien_base)
trien_test(principals_test LINK trien_intake)
trien_test(judge_test LINK trien_intake)
# A desk without an engine: its catalogue is the test's.
foreach(test IN ITEMS desk_test sessions_test)
	trien_test(${test} SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/desk_rig.c LINK trien_intake)
	target_link_options(${test} PRIVATE LINKER:--wrap=catalogue_signer,--wrap=catalogue_unit
		LINKER:--wrap=catalogue_kind,--wrap=catalogue_unref)
endforeach()
# The calls about sessions, without gRPC.
target_link_options(sessions_test PRIVATE LINKER:--wrap=read_request,--wrap=call_reply
	LINKER:--wrap=call_refuse,--wrap=call_send,--wrap=call_finish
	LINKER:--wrap=read_result,--wrap=read_refuse,--wrap=principal_signer_only
	LINKER:--wrap=principal_name,--wrap=principal_signer)
trien_test(bell_test LINK trien_intake)
target_link_options(bell_test PRIVATE LINKER:--wrap=pthread_cond_init
	LINKER:--wrap=pthread_cond_timedwait)
# Given signatures without gRPC or engine.
trien_test(signatures_test LINK trien_intake)
target_link_options(signatures_test PRIVATE LINKER:--wrap=read_request,--wrap=call_reply
	LINKER:--wrap=call_refuse,--wrap=principal_signer,--wrap=principal_name)
# Copiers, and the calls that are theirs, without gRPC or engine.
trien_test(copier_test LINK trien_intake)
target_link_options(copier_test PRIVATE LINKER:--wrap=intake_clock_ms)
trien_test(copycalls_test LINK trien_intake)
target_link_options(copycalls_test PRIVATE LINKER:--wrap=call_finish,--wrap=call_refuse
	LINKER:--wrap=principal_enter,--wrap=principal_leave,--wrap=principal_cases
	LINKER:--wrap=call_late,--wrap=call_receive,--wrap=intake_clock_ms
	LINKER:--wrap=pthread_mutex_lock,--wrap=pthread_mutex_unlock)
