# Oracles of the tests alone: others' code for the same formats.
pkg_check_modules(freetype2 REQUIRED IMPORTED_TARGET freetype2)
pkg_check_modules(libqrencode REQUIRED IMPORTED_TARGET libqrencode)

trien_test(font_test LINK trien_render_base PkgConfig::freetype2)
trien_test(qr_test LINK trien_render_base PkgConfig::libqrencode)
trien_test(words_test LINK trien_render_base)

# A made-up document, laid out by the real thing.
set(leaf ${CMAKE_SOURCE_DIR}/tests/unit/leaf.c)
trien_test(encoding_test SOURCES ${leaf} LINK trien_render)
trien_test(text_test SOURCES ${leaf} LINK trien_render)
trien_test(layout_test SOURCES ${leaf} LINK trien_render)
trien_test(ledger_test LINK trien_render)
trien_test(data_test SOURCES ${leaf} LINK trien_render PkgConfig::jansson)
trien_test(render_test SOURCES ${leaf} ${CMAKE_SOURCE_DIR}/tests/unit/paper.c
	LINK trien_render trien_sign trien_devca trien_verify)
trien_test(copies_test SOURCES ${leaf} ${CMAKE_SOURCE_DIR}/tests/unit/copyrig.c
	${CMAKE_SOURCE_DIR}/tests/unit/paper.c
	LINK trien_render trien_sign trien_devca trien_verify)

# Copies of files of any kind, drawn without an engine: for end-to-end tests, and to look at.
add_executable(copy_draw ${CMAKE_SOURCE_DIR}/tests/e2e/copy_draw.c
	${CMAKE_SOURCE_DIR}/tests/unit/copyrig.c ${leaf})
target_include_directories(copy_draw PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
target_compile_definitions(copy_draw PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
target_link_libraries(copy_draw PRIVATE trien_render trien_look)
