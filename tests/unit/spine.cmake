# Writes of the waiting room that wait and fail when told to; a journal that only counts.
trien_test(janitor_test LINK trien_spine trien_remote)
target_link_options(janitor_test PRIVATE LINKER:--wrap=pwrite,--wrap=journal_release)
trien_test(backlog_test LINK trien_spine trien_remote)
trien_test(aside_test LINK trien_spine trien_remote)
# Memory that ends when told to.
trien_test(leftopen_test LINK trien_spine trien_remote)
target_link_options(leftopen_test PRIVATE LINKER:--wrap=realloc)
