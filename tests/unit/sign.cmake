trien_test(sign_test SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/paper.c LINK trien_sign trien_devca)
