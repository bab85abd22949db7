set(TOKENS ${CMAKE_SOURCE_DIR}/tests/unit/tokens.c)
trien_test(jwt_test SOURCES ${TOKENS} LINK trien_signin)
trien_test(jwks_test SOURCES ${TOKENS} LINK trien_signin)
