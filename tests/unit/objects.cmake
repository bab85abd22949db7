trien_test(objects_test LINK trien_objects)
trien_test(section_test LINK trien_objects)
target_link_options(objects_test PRIVATE -Wl,--wrap=fdatasync -Wl,--wrap=fsync -Wl,--wrap=renameat
	-Wl,--wrap=unlinkat)
