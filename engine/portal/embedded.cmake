# Writes OUT: the files of LIST (names below ROOT) as bytes of the program, with a table of them.
function(portal_embed OUT ROOT)
	set(bytes "")
	set(externs "")
	set(rows "")
	set(i 0)
	foreach(name IN LISTS ARGN)
		string(APPEND bytes "	\".global portal_file_${i}, portal_file_${i}_end\\n\"\n"
			"	\"portal_file_${i}: .incbin \\\"${ROOT}/${name}\\\"\\n\"\n"
			"	\"portal_file_${i}_end: .byte 0\\n\"\n")
		string(APPEND externs
			"extern const uint8_t portal_file_${i}[], portal_file_${i}_end[];\n")
		string(APPEND rows
			"	{ \"${name}\", portal_file_${i}, portal_file_${i}_end },\n")
		math(EXPR i "${i} + 1")
	endforeach()
	file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT
"#include \"portal/embedded.h\"

__asm__(\".pushsection .rodata\\n\"
${bytes}	\".popsection\\n\");

${externs}
static const struct embedded files[] = {
${rows}};

const struct embedded *embedded_at(uint32_t i)
{
	return i < sizeof(files) / sizeof(files[0]) ? &files[i] : (const struct embedded *)0;
}

const struct embedded *embedded_find(const char *name)
{
	for (uint32_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	return (const struct embedded *)0;
}
")
endfunction()
