// A real Redis server on a free port of 127.0.0.1, which dies with the test.
#pragma once

#include "resp_fake.h"

#include <fcntl.h>

struct redis_real {
    pid_t pid;
    char port[8];
};

// Starts one, as a replica of the server at that port, or as a master where that is NULL.
static inline void redis_real_start(struct redis_real *server, const char *master_port)
{
    char of[40] = "no one";
    close(resp_listen(server->port));
    if (master_port)
        snprintf(of, sizeof of, "127.0.0.1 %s", master_port);
    server->pid = fork();
    if (server->pid < 0)
        abort();
    if (server->pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 2; fd++)
        dup2(null, fd);
    const char *const args[] = {"redis-server",
                                "--port",
                                server->port,
                                "--bind",
                                "127.0.0.1",
                                "--save",
                                "",
                                "--appendonly",
                                "no",
                                "--repl-diskless-sync-delay",
                                "0",
                                "--repl-diskless-load",
                                "swapdb",
                                "--replicaof",
                                of,
                                NULL};
    execvp(args[0], (char *const *)args);
    fprintf(stderr, "%s: not found\n", args[0]);
    _exit(127);
}

static inline void redis_real_stop(struct redis_real *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}
