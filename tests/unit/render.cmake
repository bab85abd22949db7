# Oracles of the tests alone: others' code for the same formats.
pkg_check_modules(freetype2 REQUIRED IMPORTED_TARGET freetype2)
pkg_check_modules(libqrencode REQUIRED IMPORTED_TARGET libqrencode)

trien_test(font_test LINK trien_render_base PkgConfig::freetype2)
trien_test(qr_test LINK trien_render_base PkgConfig::libqrencode)
trien_test(words_test LINK trien_render_base)
