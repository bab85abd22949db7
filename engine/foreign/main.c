/*
 * trien-foreign FORM LOG-LEVEL SECONDS [WHOSE] - the process of foreign.h; descriptor 3: its door.
 *
 * A program of its own because each file costs a fork of it: what trien maps (gRPC, curl, libpq,
 * a hundred libraries) would be mapped and torn down again for each, which took three times as
 * long as the look itself. `trien serve` and `trien inspect` start it; nobody types its name.
 * SECONDS: of processor time for one file, and twice as many of the clock. WHOSE: the data folder,
 * for who reads a list of processes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>

#include "base/log.h"
#include "foreign/foreign.h"
#include "limits.h"
#include "verify/anypdf.h"

static_assert(REPORT_PACKED_BYTES_MAX <= FOREIGN_JUDGEMENT_BYTES_MAX, "a report is an answer");
static_assert(INSPECTION_MS_MAX == 2000 * INSPECTION_CPU_S_MAX, "a file that waits, not computes");

static size_t judge(struct slice file, struct slice packed, uint8_t *out, size_t max)
{
	struct writer w = writer_of(out, max);
	struct report report = { .own = false };
	struct roots *roots;

	if (roots_unpack(&roots, packed) != ST_OK || any_document(roots, file, &report) != ST_OK)
		return 0;
	report_pack(&report, &w);
	return w.bad ? 0 : writer_size(&w);
}

int main(int argc, char **argv)
{
	struct foreign_config c = { .socket = FOREIGN_SOCKET, .judge = judge,
				    .prepare = any_prepare };
	enum log_level level;

	if (argc < 4 || strcmp(argv[1], FOREIGN_FORM) != 0) {
		fprintf(stderr, "trien-foreign: started by another version, or by hand; `trien` "
			"starts the one that lies beside it\n");
		return EX_CONFIG;
	}
	c.cpu_s = (uint32_t)strtoul(argv[3], NULL, 10);
	c.wall_ms = 2000 * c.cpu_s;
	if (!log_level_of(argv[2], &level) || c.cpu_s == 0 || c.cpu_s > INSPECTION_CPU_S_MAX)
		return EX_USAGE;
	/* It was executed by its descriptor, whose number the kernel takes for a name. */
	prctl(PR_SET_NAME, "trien-foreign");
	log_setup(level, "foreign");
	return foreign_run(&c);
}
