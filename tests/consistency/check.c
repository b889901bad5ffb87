// The checker: is every cart of a history linearizable, and is nothing lost in the end?
//
// usage: check --history FILE --final FILE [--windows FILE] [--limit N]
//
//     --history  what load has written
//     --final    cart, version and units of each cart, tab-separated, from the database
//     --windows  begin_ns, end_ns and name of each fault, tab-separated; without it the
//                whole history counts as one
//     --limit    how many violations are told in words, 20
//
// Prints a table: a header, a line for each name among the windows, and "total". Then the
// violations, if any, a line each that begins with "violation: ", and a line that counts
// them by rule. Exit status: 0, 1 with violations, 2 when the files are not to be judged.

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"

static void usage(void)
{
    fputs("usage: check --history FILE --final FILE [--windows FILE] [--limit N]\n",
          stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"history", 1, 0, 'h'},
        {"final", 1, 0, 'f'},
        {"windows", 1, 0, 'w'},
        {"limit", 1, 0, 'l'},
        {0},
    };
    const char *history = NULL, *final = NULL, *windows = NULL;
    unsigned long limit = 20;
    for (int found; (found = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (found == 'h')
            history = optarg;
        else if (found == 'f')
            final = optarg;
        else if (found == 'w')
            windows = optarg;
        else if (found == 'l')
            limit = strtoul(optarg, NULL, 10);
        else
            usage();
    }
    if (!history || !final || optind < argc)
        usage();
    static struct run run;
    run_read_history(&run, history);
    run_read_final(&run, final);
    if (windows)
        run_read_windows(&run, windows);
    else
        run.anywhere = true;
    order_check(&run);
    figures_print(&run);
    report_violations(&run, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
    bool good = run.n_violations == 0;
    run_free(&run);
    if (fflush(stdout) != 0)
        return 2;
    return good ? 0 : 1;
}
