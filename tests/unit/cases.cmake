trien_test(cases_test LINK trien_sample trien_catalogue PkgConfig::jansson PkgConfig::libutf8proc)
