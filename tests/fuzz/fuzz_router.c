// The real routes: what matches is what was asked for, and what does not is refused alike
// however the path is written.

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/router.h"
#include "routes.h"

static const enum method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT,
                                      METHOD_OTHER};
static const char *const names[] = {"GET", "HEAD", "POST", "PUT"};
#define N_METHODS (sizeof methods / sizeof *methods)

struct outcome {
    struct request req;
    enum err_code code;
    const struct route *route;
    const char *allow;
};

static void ask(struct outcome *o, void *mem, enum method method, const char *path)
{
    *o = (struct outcome){.req = {.work.mem = mem, .method = method, .path = path}};
    o->code = router_match(routes, &o->req, &o->route, &o->allow).code;
}

// The pattern with its parameters put in.
static const char *expand(void *mem, const struct outcome *o)
{
    struct buf b;
    size_t n = 0;
    buf_init(&b, mem, 64);
    for (const char *p = o->route->pattern; *p; p++) {
        if (*p != '{') {
            buf_add_char(&b, *p);
            continue;
        }
        const struct path_param *param = &o->req.params[n++];
        HOLDS(param->len > 0 && param->text[param->len] == '\0');
        buf_add(&b, param->text, param->len);
        p += strcspn(p, "}");
    }
    return b.data;
}

// The same path with all but the slashes percent-encoded.
static const char *encode(void *mem, const char *path)
{
    struct buf b;
    buf_init(&b, mem, 64);
    for (; *path; path++) {
        if (*path == '/' || *path == '%')
            buf_add_char(&b, *path);
        else
            buf_printf(&b, "%%%02X", (unsigned char)*path);
    }
    return b.data;
}

static void check_match(void *mem, const struct outcome *o)
{
    enum method wanted = o->req.method == METHOD_HEAD ? METHOD_GET : o->req.method;
    HOLDS(o->route && o->route->handle && o->route->method == wanted);
    if (strchr(o->req.path, '%'))
        return;
    HOLDS(strcmp(expand(mem, o), o->req.path) == 0);
    struct outcome same;
    ask(&same, mem, o->req.method, encode(mem, o->req.path));
    HOLDS(same.code == ERR_NONE && same.route == o->route);
    HOLDS(strcmp(expand(mem, &same), o->req.path) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *mem = mem_request_new();
    const char *path = mem_strndup(mem, (const char *)data, size);
    struct outcome outcomes[N_METHODS];
    bool some = false;
    for (size_t i = 0; i < N_METHODS; i++) {
        ask(&outcomes[i], mem, methods[i], path);
        some |= outcomes[i].code == ERR_NONE;
    }
    for (size_t i = 0; i < N_METHODS; i++) {
        const struct outcome *o = &outcomes[i];
        if (o->code == ERR_NONE) {
            check_match(mem, o);
            continue;
        }
        // A path has some method or is unknown by every one.
        HOLDS(o->code == (some ? ERR_METHOD_NOT_ALLOWED : ERR_NOT_FOUND));
        HOLDS((o->allow != NULL) == some);
        for (size_t j = 0; some && j < N_METHODS - 1; j++)
            HOLDS(!strstr(o->allow, names[j]) == (outcomes[j].code != ERR_NONE));
    }
    HOLDS(outcomes[0].code == outcomes[1].code); // HEAD wherever GET is
    talloc_free(mem);
    return 0;
}
