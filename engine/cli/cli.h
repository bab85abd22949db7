/*
 * cli.h - the subcommands of `trien`, as main.c calls them.
 *
 * argv[0] is the subcommand; results go to stdout (one JSON document with --json), everything else
 * to stderr. Exit codes: 0 done, 1 not so (a verification failed, something was rejected), 2 wrong
 * usage, 3 undetermined or not all done, 69 the engine cannot be reached, and those of sysexits.h.
 */
#ifndef TRIEN_CLI_H
#define TRIEN_CLI_H

int cli_keys(int argc, char **argv);
int cli_schema(int argc, char **argv);
int cli_submit(int argc, char **argv);
int cli_certify(int argc, char **argv);
int cli_copy(int argc, char **argv);
int cli_get(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_reuse(int argc, char **argv);
int cli_reads(int argc, char **argv);
int cli_share(int argc, char **argv);
int cli_case(int argc, char **argv);
int cli_register(int argc, char **argv);
int cli_held(int argc, char **argv);
int cli_statistics(int argc, char **argv);
int cli_sign(int argc, char **argv);
int cli_withdraw(int argc, char **argv);
int cli_revoke(int argc, char **argv);
int cli_correct(int argc, char **argv);
int cli_hide(int argc, char **argv);
int cli_history(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_verify(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_backup(int argc, char **argv);
int cli_restore(int argc, char **argv);
int cli_fsck(int argc, char **argv);
int cli_store(int argc, char **argv);
int cli_audit(int argc, char **argv);

#endif
