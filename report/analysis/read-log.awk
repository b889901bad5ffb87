# Reads an access log (nginx/access-log.conf) once: a narrow line of TSV for each request.
#
# mawk -F'"' -v phase=NAME -v notes=FILE -f read-log.awk LOG
#
# stdout   segment part bin total_ms request_ms
# notes    TSV of what is not a request: what each segment is, how many lines there were,
#          which could not be read, extremes
#
# A segment has one phase, kind, route, cache, node, class of status and whether the
# database was asked; a part is phase/kind. `bin` is the time since the log's first line in
# quarters of a second; `total_ms` is the program's own time, app + redis + db, and empty
# where nginx answered by itself. The quotes split a line: in the format as it is now each
# value is where it always is. Any other line is taken apart name by name, so that names
# may be missing, more or elsewhere.

BEGIN {
    OFS = "\t"
    SHOWN = 10    # unreadable lines, slowest requests
    ROUTES = 60   # so many routes are told apart
    print "segment", "part", "bin", "total_ms", "request_ms"
}

{ sub(/\r$/, "") }

# Escapes: no quote that is left is part of a value.
index($0, "\\") {
    plain = $0
    gsub(/\\\\/, "\001")
    gsub(/\\"/, "\002")
    $0 = $0
}

NF == 67 && $2 == "time" && $6 == "msec" && $16 == "method" && $20 == "uri" &&
$24 == "route" && $28 == "status" && $30 == "cache" && $34 == "redis_node" &&
$38 == "app_ms" && $40 == "redis_ms" && $42 == "db_ms" && $44 == "request_time" &&
$66 == "connection" && $1 == "{" && $67 ~ /^:[0-9]+[}]$/ {
    msec = bare($7); method = $18; uri = $22; route = $26; status = bare($29)
    cache = $32; node = $36; app = bare($39); redis = bare($41); db = bare($43)
    seconds = bare($45)
    take()
    next
}

/^[ \t]*$/ { refuse("empty"); next }

{
    split("", value)
    if (why = take_apart()) {
        refuse(why)
        next
    }
    msec = value["msec"]; method = value["method"]; uri = value["uri"]
    route = value["route"]; status = value["status"]; cache = value["cache"]
    node = value["redis_node"]; seconds = value["request_time"]
    app = had("app_ms"); redis = had("redis_ms"); db = had("db_ms")
    other_format++
    take()
}

# A number of the fast way, between its colon and its comma.
function bare(text) {
    return substr(text, 2, length(text) - 2)
}

function had(name) {
    return name in value ? value[name] : "null"
}

# The line's values by name. Returns why it cannot be, or "".
function take_apart(    i, name, rest) {
    if (substr($0, 1, 1) != "{")
        return "not a JSON object"
    if ($1 !~ /^[{] *$/ || NF < 4)
        return "not a JSON object of names and values"
    for (i = 2; i <= NF; i += 2) {
        name = $i
        rest = $(i + 1)
        gsub(/ /, "", rest)
        if (name in value)
            return "a name twice: " name
        if (rest == ":") {
            if (i + 3 > NF) return "broken off"
            value[name] = $(i + 2)
            i += 2
            rest = $(i + 1)
            gsub(/ /, "", rest)
        } else if (rest ~ /^:(null|true|false|-?[0-9][0-9.eE+-]*)[,}]$/) {
            value[name] = substr(rest, 2, length(rest) - 2)
            rest = substr(rest, length(rest))
        } else {
            return i + 1 >= NF ? "broken off" : "no value after " name
        }
        if (rest == "}" && i + 1 == NF)
            return missing()
        if (rest != ",")
            return i + 1 >= NF ? "broken off" : "no comma after " name
    }
    return "broken off"
}

function missing() {
    if (!("msec" in value)) return "no msec"
    if (!("status" in value)) return "no status"
    if (!("method" in value)) return "no method"
    if (!("route" in value)) return "no route"
    if (!("request_time" in value)) return "no request_time"
    return ""
}

function number(text) {
    return text ~ /^[0-9]+(\.[0-9]+)?$/
}

# One request, from the values that were read.
function take(    total, kind, key, segment) {
    if (!number(msec)) { refuse("msec is not a number"); return }
    if (status !~ /^[1-9][0-9][0-9]$/) { refuse("status is not three digits"); return }
    if (!number(seconds)) { refuse("request_time is not a number"); return }
    if (app != "null" && !number(app)) { refuse("app_ms is not a number"); return }
    if (redis != "null" && !number(redis)) { refuse("redis_ms is not a number"); return }
    if (db != "null" && !number(db)) { refuse("db_ms is not a number"); return }
    if (cache == "") cache = "-"
    else if (cache != "HIT" && cache != "MISS" && cache != "BYPASS") {
        refuse("cache is none of HIT, MISS and BYPASS")
        return
    }
    if (node == "") node = "-"
    else if (node !~ /^[a-z0-9-]+$/) { refuse("redis_node is not a name"); return }
    key = method " " route
    if (key in names)
        key = names[key]
    else
        key = name_of(key)
    kind = kinds[key]
    total = ""
    if (app != "null") total = sprintf("%.3f", app + redis + db)
    seconds *= 1000
    read++
    if (read == 1 || msec < first) first = msec
    if (read == 1 || msec > last) last = msec
    statuses[status]++
    if (app != "null" && kind != "other") {
        n_spent[kind, cache]++
        app_spent[kind, cache] += app
        redis_spent[kind, cache] += redis
        db_spent[kind, cache] += db
    }
    if (status >= 500) failed(method, uri, status)
    if (seconds > slow_least || n_slow < SHOWN) slow()
    if (t0 == "") t0 = int(msec)
    segment = kind SUBSEP key SUBSEP cache SUBSEP node SUBSEP substr(status, 1, 1) \
        SUBSEP (db != "null")
    if (!(segment in segments)) segments[segment] = phase "." ++n_segments
    print segments[segment], phase "/" kind,
        int((msec - t0) * 4 + 1000000) - 1000000, total, seconds
}

# A route as it is shown. What a stranger may send must not make a route each.
function name_of(key,    shown) {
    shown = key
    if (method !~ /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/) shown = "other " route
    if (route !~ /^[!-~]+$/ || route ~ /[\001\002]/) shown = "other"
    if (!(shown in kinds)) {
        if (n_routes >= ROUTES) shown = "other"
        n_routes++
        kinds[shown] = "other"
        if (shown ~ /^(GET|HEAD) \/cart\/[{]user_id[}]$/) kinds[shown] = "read"
        if (shown ~ /^(POST|PUT) \/cart\//) kinds[shown] = "write"
    }
    if (n_names++ < 1000) names[key] = shown
    return shown
}

function failed(method, uri, status,    key) {
    key = method "\t" clean(uri) "\t" status
    if (key in failures || n_failures < 10000) {
        if (!(key in failures)) n_failures++
        failures[key]++
    }
}

# Keeps the slowest, in no order.
function slow(    i, at) {
    at = ++n_slow
    if (n_slow > SHOWN) {
        n_slow = SHOWN
        at = 1
        for (i = 2; i <= SHOWN; i++) if (slow_ms[i] < slow_ms[at]) at = i
        if (seconds <= slow_ms[at]) return
    }
    slow_ms[at] = seconds
    slow_line[at] = seconds "\t" msec "\t" method "\t" clean(uri) "\t" status "\t" cache
    if (n_slow == SHOWN) {
        slow_least = slow_ms[1]
        for (i = 2; i <= SHOWN; i++) if (slow_ms[i] < slow_least) slow_least = slow_ms[i]
    }
}

# Text of the log for a line of TSV.
function clean(text) {
    gsub(/\001/, "\\", text)
    gsub(/\002/, "\"", text)
    gsub(/[^ -~]/, "?", text)
    return substr(text, 1, 200)
}

function refuse(why) {
    refused++
    reasons[why]++
    if (refused <= SHOWN)
        print "unreadable", phase, NR, why, clean($0) > notes
}

END {
    print "lines", phase, NR, read + 0, refused + 0, other_format + 0 > notes
    if (read) print "span", phase, t0, sprintf("%.3f", first), sprintf("%.3f", last) > notes
    for (key in segments) {
        split(key, part, SUBSEP)
        print "segment", phase, segments[key], part[1], part[2], part[3], part[4],
            part[5] "xx", part[6] > notes
    }
    for (key in reasons) print "reason", phase, reasons[key], key > notes
    for (key in statuses) print "status", phase, key, statuses[key] > notes
    for (key in failures) print "failed", phase, failures[key], key > notes
    for (i = 1; i <= n_slow; i++) print "slow", phase, slow_line[i] > notes
    for (key in n_spent) {
        split(key, part, SUBSEP)
        print "spent", phase, part[1], part[2], n_spent[key], app_spent[key],
            redis_spent[key], db_spent[key] > notes
    }
}
